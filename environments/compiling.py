"""Asks uv which versions a list of packages comes to. Nothing of them is run for it."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from environments.definition import CondaDependencies
from environments.egress import egress_of
from environments.uv import UvAnswer, run_uv

_FILE = "requirements.in"
_NO_PAGE = re.compile(r"Failed to read `--find-links` URL: (\S+)")


@dataclass(frozen=True, kw_only=True)
class Question:
    """The lines of a requirements file, for a Python on a platform as uv names it."""

    lines: tuple[str, ...]
    python: str
    platform: str = "linux"
    # A build runs code of the packages.
    may_build: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """For uv, where `files` are."""
        return (
            *("pip", "compile", _FILE, "--no-header", "--no-annotate"),
            *("--python-version", self.python, "--python-platform", self.platform),
            *(() if self.may_build else ("--no-build",)),
        )

    @property
    def files(self) -> dict[str, bytes]:
        lines = self.lines
        if not self.may_build:
            # uv lets it win over --no-build: the code of what it names would be run.
            lines = tuple(each for each in lines if not each.startswith("--no-binary"))
        return {_FILE: "\n".join(lines).encode()}


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What uv answered; `left_out` are lines of pages that could not be read, and
    `unreachable` says of a host that a person has named why it could not be.
    """

    question: Question
    answer: UvAnswer
    left_out: tuple[str, ...]
    unreachable: str


def compile_packages(
    question: Question,
    *arguments: str,
    files: Mapping[str, bytes],
    deadline: float,
    loud: bool = False,
) -> Compiled:
    """Raises ProgramTimeout, and UserError for an address that may not be asked.

    As with pip, a page of links is one place more to look at: one that can't be read is
    left out. An index can't be, since its packages would then come from another one.
    """
    left_out: list[str] = []
    with egress_of(CondaDependencies(pip=question.lines)) as egress:
        while True:
            answer = run_uv(
                *(*question.command, *arguments),
                files={**question.files, **files},
                seconds=deadline - time.monotonic(),
                variables=egress.variables,
                loud=loud,
            )
            if not answer.has_succeeded:
                egress.check()
            lines = _without_page(question.lines, answer)
            if lines == question.lines:
                return Compiled(
                    question=question,
                    answer=answer,
                    left_out=tuple(left_out),
                    unreachable=next(iter(egress.unreachable.values()), ""),
                )
            left_out += {*question.lines} - {*lines}
            question = replace(question, lines=lines)


def _without_page(lines: tuple[str, ...], answer: UvAnswer) -> tuple[str, ...]:
    """The lines but that of the page of links that uv could not read, if it says so."""
    found = None if answer.has_succeeded else _NO_PAGE.search(answer.remarks)
    page = f"--find-links {found[1]}" if found else ""
    return tuple(line for line in lines if line != page)
