"""Tells people why packages can't be installed together, of what uv says of it."""

import re

from aml_portal.errors import UserError
from environments.compiling import Question
from environments.formats.pip_lines import name_of

_LONGEST = 600
_ANSWER = re.compile(
    r"(?:, | )?we can conclude that your requirements are unsatisfiable"
)
# What uv says, and the sentence that is made of it.
_SENTENCES = (
    (
        r"([\w.-]+) was not found in the (?:package registry|provided package)",
        "There is no package “{0}” in the package index.",
    ),
    (
        r"there (?:is|are) no versions? of (\S+)",
        "There is no {0} in the package index.",
    ),
    (
        r"only (\S+) is available and you require (\S+?),",
        "There is no {1} in the package index, only {0}.",
    ),
    (r"([^\s,]+) (?:was|were) yanked", "{0} was yanked by its authors."),
    (
        r"(\S+) has no wheels with a matching (?:Python|platform|ABI)",
        "{0} has no wheel for Python {python} on Linux.",
    ),
    (
        r"depends on Python(\S+)",
        "The packages need a Python{0}, and this environment has {python}.",
    ),
)


def refusal(said: str, question: Question) -> UserError:
    """What is in the way, of what uv said of it."""
    said = " ".join(said.split())
    return UserError(_sentence(said, question), _why(said))


def _sentence(said: str, question: Question) -> str:
    for pattern, sentence in _SENTENCES:
        if match := re.search(pattern, said):
            return sentence.format(*match.groups(), python=question.python)
    named = {
        name_of(word.rstrip(",."))
        for match in re.finditer(r"you require (\S+)(?: and (\S+), which)?", said)
        for word in match.groups()
        if word
    }
    asked = [line.partition(";")[0].strip() for line in question.lines]
    blamed = [line for line in asked if name_of(line) in named] or ["The packages"]
    *others, last = blamed
    together = f"{', '.join(others)} and {last}" if others else last
    return f"{together} can't be installed{' together' if others else ''}."


def _why(said: str) -> str:
    """uv's own reasons, as one paragraph."""
    text = said.partition("cause: ")[2].partition(" hint: ")[0]
    text = _ANSWER.sub("", text).strip(" ,.")
    text = re.sub(r"\{[^{}]*\}", "", text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 1]}…"
    return f"{text[:1].upper()}{text[1:]}." if text else ""
