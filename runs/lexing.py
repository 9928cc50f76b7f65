"""The program that runs/highlight.py starts to lex code with Pygments.

Lexers are made of regular expressions, and whoever wrote a file chose what they meet:
some take time without measure, and nothing in the same process could end them.

Reads JSON from standard input: the name of a lexer, and texts. Writes JSON: for each
text its lines as HTML, as far as it has got.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from html import escape
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
)

# Longer lines were not written by hand, and browsers are slow with all their pieces.
LONGEST_LINE = 5000
_MOST_MEMORY = 1024**3
# So long it works at the texts; what is left then has no colours.
_SECONDS = 0.5
# Of the processor; then the system ends it, whatever it is caught in.
_MOST_SECONDS = 3

# Each has a colour in static/css/highlight.css; what is not here has that of text.
_CLASSES: dict[Any, str] = {
    Comment: "comment",
    Comment.Preproc: "meta",
    Comment.PreprocFile: "string",
    Generic.Deleted: "deleted",
    Generic.Emph: "emphasis",
    Generic.Heading: "heading",
    Generic.Inserted: "inserted",
    Generic.Strong: "strong",
    Generic.Subheading: "heading",
    Keyword: "keyword",
    Keyword.Constant: "number",
    Keyword.Type: "type",
    Literal: "string",
    Name.Attribute: "attribute",
    Name.Builtin: "type",
    Name.Builtin.Pseudo: "",
    Name.Class: "name",
    Name.Constant: "number",
    Name.Decorator: "meta",
    Name.Exception: "type",
    Name.Function: "name",
    Name.Tag: "tag",
    Name.Variable: "variable",
    Number: "number",
    Operator.Word: "keyword",
    String.Escape: "variable",
    String.Interpol: "variable",
}


def html_lines(lexer: Lexer, text: str, until: float) -> list[str]:
    """The lines of `text`, as far as this process has got when it has worked `until`.

    No element goes on in the next line. The last line must have an end as well.
    """
    lines: list[str] = []
    line: list[str] = []
    for css, piece in _pieces(lexer, text):
        first, *others = piece.split("\n")
        line.append(_span(css, first))
        for other in others:
            lines.append("".join(line))
            line = [_span(css, other)]
        if time.process_time() > until:
            break
    return [
        _shown(plain) if len(plain) > LONGEST_LINE else line
        for line, plain in zip(lines, text.split("\n"), strict=False)
    ]


def _pieces(lexer: Lexer, text: str) -> Iterator[tuple[str, str]]:
    """Each with its class, neighbours of the same joined."""
    last, joined, end = "", "", 0
    for start, token, piece in lexer.get_tokens_unprocessed(text):
        if start != end:
            raise ValueError("The lexer lost a part of the text.")
        end += len(piece)
        css = _class_of(token)
        if css == last or not piece.strip():
            joined += piece
        else:
            yield last, joined
            last, joined = css, piece
    yield last, joined


def _class_of(token: Any) -> str:
    if token not in _CLASSES:
        _CLASSES[token] = _class_of(token.parent) if token.parent else ""
    return _CLASSES[token]


def _span(css: str, text: str) -> str:
    shown = _shown(text)
    return f'<span class="hl-{css}">{shown}</span>' if css and text.strip() else shown


def _shown(text: str) -> str:
    # As `escaped` of runs/highlight.py; but this program does not start Django.
    return escape(text, quote=False).replace("\r", "&#13;")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    given: dict[str, Any] = json.load(sys.stdin.buffer)
    lexer = get_lexer_by_name(given["lexer"])
    until = time.process_time() + _SECONDS
    json.dump([html_lines(lexer, text, until) for text in given["texts"]], sys.stdout)


if __name__ == "__main__":
    main()
