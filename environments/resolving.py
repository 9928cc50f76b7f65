"""Resolves the packages of a definition to exact versions, with uv."""

import re
from collections.abc import Callable, Mapping, Sequence

from aml_portal.errors import UserError
from environments.checking import Question, refusal
from environments.definition import Definition
from environments.uv import UvAnswer, UvTimeout, run_uv

_FILE = "requirements.in"
_CONSTRAINTS = "constraints.txt"
# uv's hint where a package has no wheel.
_HAS_TO_BUILD = "building from source is disabled"
_LOCKED = re.compile(r"[\w.-]+(\[[\w.,-]+\])?(==| @ )\S[^\n]*|    --hash=\S+( \\)?|")

# environments.uv.run_uv, or run_uv_on with where that is.
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
    `build_on` resolves them, elsewhere. Raises UserError with what can't be.
    """
    kept = installed or {}
    lines = definition.python.conda_dependencies.pip
    if not lines:
        return ""
    arguments = (
        *("pip", "compile", _FILE, "--generate-hashes"),
        *("--python-version", python, "--python-platform", platform),
        *("--no-header", "--no-annotate", "--constraint", _CONSTRAINTS),
        *(word for name in kept for word in ("--no-emit-package", name)),
    )
    constraints = "\n".join(f"{name}=={version}" for name, version in kept.items())
    files = {_FILE: "\n".join(lines).encode(), _CONSTRAINTS: constraints.encode()}
    answer = _ask(arguments, files, seconds, build_on)
    if answer.build_error:
        raise UserError(f"{answer.build_error}.", "Its own build has to succeed there.")
    if not answer.has_succeeded:
        raise refusal(answer.remarks, Question(lines=lines, python=python))
    return answer.output


def _ask(
    arguments: Sequence[str],
    files: Mapping[str, bytes],
    seconds: float,
    build_on: Uv | None,
) -> UvAnswer:
    try:
        answer = run_uv(*arguments, "--no-build", files=files, seconds=seconds)
    except UvTimeout as error:
        raise UserError(
            f"The packages could not be resolved within {seconds:.0f} seconds.",
            "Try again, or name their versions more exactly.",
        ) from error
    if answer.has_succeeded or not build_on or _HAS_TO_BUILD not in answer.remarks:
        return answer
    answer = build_on(*arguments, files=files, seconds=seconds)
    if not all(_LOCKED.fullmatch(line) for line in answer.output.splitlines()):
        raise UserError("The machine answers with something else than a lock.")
    return answer
