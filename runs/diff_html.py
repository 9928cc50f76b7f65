"""Lines of a diff as HTML: in colours, with the changed words marked.

The texts are hostile: signs that could make a line look like another are spelled out,
and of a long line a part is shown.
"""

import html
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from runs.highlight import unescaped
from runs.snapshots.words import Span

LONGEST = 1000
# So much is shown before the first change of a long line.
_LEAD = 100
# As runs/highlight.py makes them: spans, never one in another.
_PIECE = re.compile(r'<span class="([\w-]+)">([^<]*)</span>|([^<]+)')
# Signs without a shape: controls, marks that turn the direction of text, line ends.
_ODD = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb]|&#13;"
)


def line_html(coloured: str, spans: Sequence[Span] = ()) -> SafeString:
    """A line as runs/highlight.py answers it, with `spans` of its text marked."""
    if spans or len(coloured) > LONGEST:
        coloured = "".join(_marked(list(_pieces(coloured)), spans))
    return mark_safe(_ODD.sub(_spelled, coloured))  # noqa: S308


def with_note(line: SafeString, note: str) -> SafeString:
    """The line with what is to be told about its end."""
    return format_html('{}<span class="diff-end">{}</span>', line, note)


def _pieces(coloured: str) -> Iterator[tuple[str, str]]:
    """The classes and the texts."""
    for css, inner, plain in _PIECE.findall(coloured):
        yield css, unescaped(inner or plain)


def _marked(pieces: list[tuple[str, str]], spans: Sequence[Span]) -> Iterator[str]:
    length = sum(len(text) for _, text in pieces)
    first = spans[0][0] - _LEAD if spans else 0
    start = max(0, min(first, length - LONGEST))
    shown = _window(pieces, start)
    looks = zip((css for css, _ in shown), _flags(spans, start), strict=False)
    at = 0
    if start:
        yield _left_out(start)
    for (css, is_marked), group in groupby(looks):
        count = len(list(group))
        yield _element(css, shown[at : at + count], is_marked=is_marked)
        at += count
    if beyond := length - start - len(shown):
        yield _left_out(beyond)


def _window(pieces: list[tuple[str, str]], start: int) -> list[tuple[str, str]]:
    """The classes and characters that are shown."""
    found: list[tuple[str, str]] = []
    for css, text in pieces:
        part = text[max(start, 0) :][: LONGEST - len(found)]
        found += [(css, char) for char in part]
        start -= len(text)
    return found


def _flags(spans: Sequence[Span], start: int) -> list[bool]:
    """Whether each character from `start` is in one of the spans."""
    flags = [False] * LONGEST
    for begin, end in spans:
        first, last = (min(max(edge - start, 0), LONGEST) for edge in (begin, end))
        flags[first:last] = [True] * (last - first)
    return flags


def _element(css: str, characters: list[tuple[str, str]], *, is_marked: bool) -> str:
    classes = " ".join(filter(None, (css, "diff-word" if is_marked else "")))
    text = html.escape("".join(char for _, char in characters), quote=False)
    return f'<span class="{classes}">{text}</span>' if classes else text


def _left_out(count: int) -> str:
    return f'<span class="diff-end">… {count:,} more …</span>'


def _spelled(odd: re.Match[str]) -> str:
    name = unescaped(odd[0]).encode("unicode_escape").decode()
    return f'<span class="diff-odd">{name}</span>'
