"""Tells beforehand whether the packages of a definition go together, by asking uv.

Nothing is built for it: that would run code of strangers on the portal's machine. So
what only a build could tell is a remark, and what no build could mend is an error.
"""

import re
from dataclasses import dataclass

from aml_portal.errors import UserError
from environments.definition import DEFAULT_PYTHON, Definition
from environments.formats.pip_lines import name_of
from environments.uv import UvTimeout, run_uv

_SECONDS = 20
# A package after another turns out to have no wheels; then it was not worth the wait.
_MOST_ROUNDS = 5
_LONGEST = 600
_ANSWER = re.compile(
    r"(?:, | )?we can conclude that your requirements are unsatisfiable"
)
_UNUSABLE = re.compile(r"(?:versions of )?([\w.-]+\w)(\S*) ha(?:s|ve) no usable wheels")
_YANKED = re.compile(r"warning: `(\S+)` is yanked(?: \(reason: \"(.*)\"\))?")
_OUT_OF_REACH = (
    *("Failed to fetch", "Failed to download", "error sending request"),
    *("Request failed", "Git operation failed", "authentication credentials"),
)
# Causes that tell a person nothing more.
_BESIDE = ("client error", "process didn't exit", "failed to ")
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


@dataclass(frozen=True, kw_only=True)
class Question:
    """What uv is asked: the lines of a requirements file, for a version of Python."""

    lines: tuple[str, ...]
    python: str
    # Whether packages may be built, as of definitions that come with the portal.
    may_build: bool = False


def check_packages(
    definition: Definition, *, seconds: float = _SECONDS, may_build: bool = False
) -> str:
    """What there is to remark on the packages, or "".

    Raises UserError with what is in the way, if they can't be installed together.
    """
    conda = definition.python.conda_dependencies
    lines = tuple(line.partition(" --hash=")[0] for line in conda.pip)
    if definition.is_user_managed or not any(name_of(line) for line in lines):
        return ""
    python = conda.python or DEFAULT_PYTHON
    question = Question(
        lines=tuple(line for line in lines if line != "--require-hashes"),
        python=python,
        may_build=may_build,
    )
    try:
        return _asked(question, seconds, excluded={})
    except UvTimeout:
        return (
            f"The packages could not be checked within {seconds:g} seconds: whether"
            " they go together shows where the environment is made."
        )


def _asked(question: Question, seconds: float, excluded: dict[str, str]) -> str:
    build = () if question.may_build else ("--no-build",)
    answer = run_uv(
        *("pip", "compile", "requirements.in", "--excludes", "excluded.txt", *build),
        *("--python-version", question.python, "--python-platform", "linux"),
        *("--no-header", "--no-annotate"),
        files={
            "requirements.in": "\n".join(question.lines).encode(),
            "excluded.txt": "\n".join(excluded).encode(),
        },
        seconds=seconds,
        loud=True,
    )
    said = " ".join(answer.remarks.split())
    if answer.has_succeeded:
        return _remarks(answer.remarks, excluded, question.python)
    # Of wheels of another kind it is known what they are for.
    found = _UNUSABLE.search(said)
    if found and len(excluded) < _MOST_ROUNDS and found[1] not in excluded:
        named = {found[1]: f"{found[1]}{found[2]}"}
        return _asked(question, seconds, excluded | named)
    if any(words in said for words in _OUT_OF_REACH):
        return f"The packages could not be checked: {_cause(answer.remarks)}"
    raise refusal(said, question)


def refusal(said: str, question: Question) -> UserError:
    """What is in the way, of what uv said of it."""
    said = " ".join(said.split())
    return UserError(_sentence(said, question), _why(said))


def _remarks(said: str, excluded: dict[str, str], python: str) -> str:
    remarks = [
        f"{package} was yanked by its authors"
        + (f": “{reason.rstrip('.')}”." if reason else ".")
        for package, reason in _YANKED.findall(said)
    ]
    remarks += [
        f"{package} has no wheel for Python {python} on Linux that may be used: it is"
        " built from its source, if at all, where the environment is made."
        for package in excluded.values()
    ]
    return " ".join(remarks)


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


def _cause(remarks: str) -> str:
    """The innermost cause of those that uv lists."""
    lines = [line.strip() for line in remarks.splitlines() if line.strip()]
    causes = [each.partition(": ")[2] for each in lines if each.startswith("cause:")]
    shown = [each for each in causes if not each.startswith(_BESIDE)]
    text = shown[-1] if shown else lines[-1] if lines else "uv said nothing"
    return f"{text[:200].rstrip('.')}."
