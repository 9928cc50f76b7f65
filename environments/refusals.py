"""Tells people why packages can't be installed together, of what uv says of it."""

import re

from aml_portal.errors import UserError
from environments.compiling import Question
from environments.formats.pip_lines import name_of

_LONGEST = 600
_LONGEST_WORD = 300
_ANSWER = re.compile(
    r"(?:, | )?we can conclude that your requirements are unsatisfiable"
)
# What uv says, and the sentence that is made of it. Each begins at the begin of a word:
# in a long one, which an index may well have, it would be tried at every letter.
_SENTENCES = (
    (
        r"memory allocation of \d+ bytes failed",
        "An index has more to say than the portal takes in.",
    ),
    (
        r"(?<!\S)([\w.-]+) was not found in the (?:package registry|provided package)",
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
    (r"(?<![^\s,])([^\s,]+) (?:was|were) yanked", "{0} was yanked by its authors."),
    (
        # Of a range of versions, the name alone.
        r"(?<!\S)([\w.-]+(?:==[^\s,]+)?)\S* has no wheels with a matching \w+",
        "{0} has no wheel for Python {python} on Linux.",
    ),
    (
        r"depends on Python(\S+)",
        "The packages need a Python{0}, and this environment has {python}.",
    ),
)


def as_line(said: str) -> str:
    """What uv has said; of words, which an index may make as long as it likes, no more
    is searched than any name has.
    """
    return " ".join(word[:_LONGEST_WORD] for word in said.split())


def clash_of(said: str, question: Question) -> str:
    """That some versions have no wheels need not be all that is in the way."""
    blamed = _blamed(said, question)
    if len(blamed) < 2:
        return ""
    named = _listed(blamed)
    return f"Among the versions with wheels, {named} can't be installed together."


def refusal(said: str, question: Question) -> UserError:
    """What is in the way, of what uv said of it."""
    printed, said = said, as_line(said)
    sentence = _known_sentence(said, question)
    if not sentence:
        blamed = _blamed(said, question)
        together = " together" if len(blamed) > 1 else ""
        named = _listed(blamed) or "The packages"
        sentence = f"{named} can't be installed{together}."
    elif not re.search(r"\bdepends? on\b", said):
        # The reason would say the same once more.
        return UserError(sentence, said=printed)
    return UserError(sentence, _why(said), said=printed)


def _known_sentence(said: str, question: Question) -> str:
    for pattern, sentence in _SENTENCES:
        if match := re.search(pattern, said):
            return sentence.format(*match.groups(), python=question.python)
    return ""


def _blamed(said: str, question: Question) -> list[str]:
    """The lines that uv names as those which can't be met."""
    named = {
        name_of(word.rstrip(",."))
        for match in re.finditer(r"you require (\S+)(?: and (\S+),)?", said)
        for word in match.groups()
        if word
    }
    asked = [line.partition(";")[0].strip() for line in question.lines]
    return [line for line in asked if name_of(line) in named]


def _listed(lines: list[str]) -> str:
    *others, last = lines or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _why(said: str) -> str:
    """uv's own reasons, as one paragraph."""
    text = said.partition("cause: ")[2].partition(" hint: ")[0]
    text = _ANSWER.sub("", text).strip(" ,.")
    # What it was all concluded from is in the sentence already.
    text = re.sub(r"\. And because you require .*", "", text)
    text = re.sub(r"\{[^{}]*\}", "", text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 1]}…"
    return f"{text[:1].upper()}{text[1:]}." if text else ""
