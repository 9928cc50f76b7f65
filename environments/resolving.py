"""Resolves the packages of a definition to exact versions, with uv."""

import time
from collections.abc import Mapping

from aml_portal.errors import UserError
from environments.checking import refusal
from environments.compiling import Compiled, Question, compile_packages
from environments.definition import Definition
from environments.uv import UvTimeout

_CONSTRAINTS = "constraints.txt"


def resolve(
    definition: Definition,
    *,
    python: str,
    platform: str,
    seconds: float,
    installed: Mapping[str, str] | None = None,
) -> str:
    """A requirements file with each package's version and hashes.

    `python` is a version such as "3.11", `platform` as uv names it; packages that are
    `installed`, in some version, keep that, and are left out. Nothing is built for it,
    since that would run code of strangers on the portal's machine. Raises UserError
    with what can't be.
    """
    kept = installed or {}
    lines = definition.python.conda_dependencies.pip
    if not lines:
        return ""
    question = Question(lines=lines, python=python, platform=platform)
    constraints = "\n".join(f"{name}=={version}" for name, version in kept.items())
    try:
        compiled = compile_packages(
            question,
            *("--generate-hashes", "--constraint", _CONSTRAINTS),
            *(word for name in kept for word in ("--no-emit-package", name)),
            files={_CONSTRAINTS: constraints.encode()},
            deadline=time.monotonic() + seconds,
        )
    except UvTimeout as error:
        raise UserError(
            f"The packages could not be resolved within {seconds:.0f} seconds.",
            "Try again, or name their versions more exactly.",
        ) from error
    if compiled.answer.has_succeeded:
        return _lock(compiled)
    if compiled.unreachable:
        raise UserError(compiled.unreachable, "Try again, or leave out its address.")
    raise refusal(compiled.answer.remarks, question)


def _lock(compiled: Compiled) -> str:
    """What has to be installed, and where it is, as far as the definition says so."""
    if not compiled.answer.output.strip():
        return ""
    options = [line for line in compiled.question.lines if line.startswith("-")]
    unread = [f"# Could not be read: {line}" for line in compiled.left_out]
    return "\n".join([*unread, *options, compiled.answer.output])
