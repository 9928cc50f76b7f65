"""Resolves the packages of a definition to exact versions, with uv."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from aml_portal.errors import UserError
from environments.compiling import Compiled, Question, compile_packages
from environments.definition import Definition
from environments.refusals import refusal
from environments.uv import UvAnswer

_CONSTRAINTS = "constraints.txt"
# What uv says where a package has no wheel, and of one in a repository.
_HAS_TO_BUILD = re.compile(
    r"building from source is disabled|[Bb]uilding source distributions .*disabled"
)
# Packages by version or address, their hashes, and what uv remarks.
_LOCKED = re.compile(
    r"[\w.-]+(\[[\w.,-]+\])?(==\S| @ (git\+)?https?://).*|    --hash=\S+( \\)?|#.*|"
)

# environments.uv.run_uv_on with where that is.
Uv = Callable[..., UvAnswer]


def resolve(
    definition: Definition,
    *,
    python: str,
    platform: str,
    seconds: float,
    installed: Mapping[str, str] | None = None,
    build_on: Uv | None = None,
) -> str:
    """A requirements file with each package's version and hashes.

    `python` is a version such as "3.11", `platform` as uv names it; packages that are
    `installed`, in some version, keep that, and are left out. Nothing is built for it,
    since that would run code of strangers on the portal's machine: if that has to be,
    `build_on` resolves them, elsewhere. Raises UserError with what can't be, and
    ProgramTimeout.
    """
    kept = installed or {}
    lines = definition.python.conda_dependencies.pip
    if not lines:
        return ""
    options = (
        *("--generate-hashes", "--constraint", _CONSTRAINTS),
        *(word for name in kept for word in ("--no-emit-package", name)),
    )
    constraints = "\n".join(f"{name}=={version}" for name, version in kept.items())
    files = {_CONSTRAINTS: constraints.encode()}
    question = Question(lines=lines, python=python, platform=platform)
    compiled = compile_packages(
        question, *options, files=files, deadline=time.monotonic() + seconds
    )
    if build_on and _HAS_TO_BUILD.search(compiled.answer.remarks):
        compiled = _built(compiled, build_on, options, files, seconds)
    return _lock(compiled)


def _built(
    compiled: Compiled,
    build_on: Uv,
    options: Sequence[str],
    files: Mapping[str, bytes],
    seconds: float,
) -> Compiled:
    """The same question, asked where packages may be built that it needs to know."""
    question = replace(compiled.question, may_build=True)
    given = {**question.files, **files}
    answer = build_on(*question.command, *options, files=given, seconds=seconds)
    if answer.build_error:
        raise UserError(f"{answer.build_error.rstrip('.')}.", said=answer.remarks)
    return replace(compiled, question=question, answer=answer)


def _lock(compiled: Compiled) -> str:
    """What has to be installed, and where it is, as far as the definition says so."""
    answer, lines = compiled.answer, compiled.question.lines
    if not answer.has_succeeded:
        if compiled.unreachable:
            raise UserError(
                compiled.unreachable, "Try again, or leave out its address."
            )
        raise refusal(answer.remarks, compiled.question)
    for line in answer.output.splitlines():
        if not _LOCKED.fullmatch(line):
            # What an address leads to may ask for files of the portal's machine.
            raise UserError(
                f"The packages come to “{line[:200]}”, which can't be fetched.",
                "Leave out what is named by an address, or ask who keeps it.",
            )
    if not answer.output.strip():
        return ""
    options = [line for line in lines if line.startswith("-")]
    unread = [f"# Could not be read: {line}" for line in compiled.left_out]
    return "\n".join([*unread, *options, answer.output])
