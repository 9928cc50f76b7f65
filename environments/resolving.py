"""Resolves the packages of a definition to exact versions, with uv."""

from collections.abc import Mapping

from aml_portal.errors import UserError
from environments.checking import Question, refusal
from environments.definition import Definition
from environments.uv import UvTimeout, run_uv

_FILE = "requirements.in"
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
    try:
        answer = run_uv(
            *("pip", "compile", _FILE, "--generate-hashes", "--no-build"),
            *("--python-version", python, "--python-platform", platform),
            *("--no-header", "--no-annotate", "--constraint", _CONSTRAINTS),
            *(word for name in kept for word in ("--no-emit-package", name)),
            files={
                _FILE: "\n".join(lines).encode(),
                _CONSTRAINTS: "\n".join(
                    f"{name}=={version}" for name, version in kept.items()
                ).encode(),
            },
            seconds=seconds,
        )
    except UvTimeout as error:
        raise UserError(
            f"The packages could not be resolved within {seconds:.0f} seconds.",
            "Try again, or name their versions more exactly.",
        ) from error
    if not answer.has_succeeded:
        raise refusal(answer.remarks, Question(lines=lines, python=python))
    return answer.output
