"""Resolves the packages of a definition to exact versions, with uv."""

import re

from aml_portal.errors import UserError
from environments.definition import Definition
from environments.uv import UvTimeout, run_uv

_FILE = "requirements.in"
_MARKS = re.compile(r"^\s*(?:×|├─▶|╰─▶|error:|cause:|hint:)\s*", re.MULTILINE)  # noqa: RUF001
_LONGEST = 700


def resolve(
    definition: Definition, *, python: str, platform: str, seconds: float
) -> str:
    """A requirements file with each package's version and hashes.

    `python` is a version such as "3.11", `platform` as uv names it. Raises UserError
    with what can't be, in one sentence.
    """
    conda = definition.python.conda_dependencies
    if not conda.pip:
        return ""
    lines = "\n".join(conda.pip) + "\n"
    try:
        answer = run_uv(
            *("pip", "compile", _FILE, "--generate-hashes", "--no-header"),
            *("--no-annotate", "--python-version", python),
            *("--python-platform", platform),
            files={_FILE: lines.encode()},
            seconds=seconds,
        )
    except UvTimeout as error:
        raise UserError(
            f"The packages could not be resolved within {seconds:.0f} seconds.",
            "Try again, or name their versions more exactly.",
        ) from error
    if not answer.has_succeeded:
        raise UserError(
            f"These packages can't be installed together: {_why(answer.remarks)}"
        )
    return answer.output


def _why(remarks: str) -> str:
    """What uv says of it, without its drawing, as one sentence."""
    words = " ".join(_MARKS.sub("", remarks).split())
    words = words.removeprefix("No solution found when resolving dependencies: ")
    return words[:_LONGEST] or "uv gave no reason."
