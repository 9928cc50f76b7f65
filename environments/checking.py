"""Tells beforehand whether the packages of a definition go together, by asking uv.

Nothing is built for it: that would run code of strangers on the portal's machine. So
what only a build could tell is a remark, and what no build could mend is an error.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.conf import settings

from environments.compiling import Compiled, Question, compile_packages
from environments.definition import DEFAULT_PYTHON, Definition
from environments.formats.pip_lines import name_of
from environments.programs import ProgramTimeout
from environments.refusals import as_line, clash_of, refusal

_SECONDS = 20
# Each takes what an index makes it take, as long as it may.
_PLACES = BoundedSemaphore(8)
# A package after another turns out to have no wheels; then it was not worth the wait.
_MOST_ROUNDS = 5
# An index may give any reason, and have withdrawn all that it has.
_LONGEST_REASON, _MOST_YANKED = 200, 10
# It begins at the begin of a word: in a long one, which an index may well have, it
# would be tried at every letter.
_UNUSABLE = re.compile(
    r"(?<!\S)(?P<name>\S+) ha(?:s|ve) no usable wheels"
    r"|Building source distributions for `(?P<source>[\w.-]+)` is disabled"
)
_YANKED = re.compile(r"warning: `(\S+)` is yanked(?: \(reason: \"(.*)\"\))?")
_OUT_OF_REACH = (
    *("Failed to fetch", "Failed to download", "error sending request"),
    *("Request failed", "Git operation failed", "authentication credentials"),
)
# Causes that tell a person nothing more.
_BESIDE = ("client error", "process didn't exit", "failed to ")


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
    deadline = time.monotonic() + seconds
    try:
        with _turn(deadline):
            return _asked(question, deadline, excluded={}, clash="")
    except ProgramTimeout:
        return (
            f"The packages could not be checked within {seconds:g} seconds: whether"
            " they go together shows where the environment is made."
        )


@contextmanager
def _turn(deadline: float) -> Iterator[None]:
    """Wait for one of the places. Raises ProgramTimeout."""
    if not _PLACES.acquire(timeout=max(deadline - time.monotonic(), 0)):
        raise ProgramTimeout
    try:
        yield
    finally:
        _PLACES.release()


def _asked(
    question: Question, deadline: float, excluded: dict[str, str], clash: str
) -> str:
    """`clash` is what can't be installed together of what has wheels."""
    compiled = compile_packages(
        question,
        *("--excludes", "excluded.txt"),
        files={"excluded.txt": "\n".join(excluded).encode()},
        deadline=deadline,
        loud=True,
    )
    if compiled.answer.has_succeeded:
        return " ".join(filter(None, (clash, _remarks(compiled, excluded))))
    said = as_line(compiled.answer.remarks)
    # Of wheels of another kind it is known what they are for.
    found = _UNUSABLE.search(said)
    if found and len(excluded) < _MOST_ROUNDS:
        named = found["name"] or found["source"]
        # Without the version.
        name = re.split(r"[^\w.-]", named, maxsplit=1)[0]
        if name not in excluded:
            clash = clash or clash_of(said, question)
            return _asked(question, deadline, {**excluded, name: named}, clash)
    if any(words in said for words in _OUT_OF_REACH):
        why = compiled.unreachable or _cause(compiled.answer.remarks)
        return f"The packages could not be checked: {why}"
    raise refusal(said, question)


def _remarks(compiled: Compiled, excluded: dict[str, str]) -> str:
    python = compiled.question.python
    remarks = [f"{line} can't be read, and is left out." for line in compiled.left_out]
    if settings.PYTHON_INDEX:
        remarks += [
            f"{line} has no effect, since the portal has an index of its own: write"
            " --extra-index-url to have it asked first."
            for line in compiled.question.lines
            if line.startswith("--index-url ")
        ]
    remarks += [
        f"{package} was yanked by its authors"
        + (f": “{reason[:_LONGEST_REASON].rstrip('.')}”." if reason else ".")
        for package, reason in _YANKED.findall(compiled.answer.remarks)[:_MOST_YANKED]
    ]
    remarks += [
        f"{package} has no wheel for Python {python} on Linux: it would be built"
        " from its source, where the environment is made."
        for package in excluded.values()
    ]
    return " ".join(remarks)


def _cause(remarks: str) -> str:
    """The innermost cause of those that uv lists."""
    lines = [line.strip() for line in remarks.splitlines() if line.strip()]
    causes = [each.partition(": ")[2] for each in lines if each.startswith("cause:")]
    shown = [each for each in causes if not each.startswith(_BESIDE)]
    text = shown[-1] if shown else lines[-1] if lines else "uv said nothing"
    return f"{text[:200].rstrip('.')}."
