"""Asks Python interpreters of the portal's machine what they are and what they have."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aml_portal.errors import UserError
from computes.models import SSH, ComputeTarget
from environments.definition import Definition
from environments.formats.reading import Read
from environments.programs import ProgramTimeout, run_program

_TIMEOUT = 10
# -I keeps the interpreter from importing anything that lies about.
_QUESTION = (
    "import json, platform, sys;"
    "print(json.dumps([platform.python_version(), sys.executable]))"
)
# Of packages from elsewhere than an index, direct_url.json tells from where.
_PACKAGES = """
import json, platform
from importlib.metadata import distributions
found = {}
for each in distributions():
    name = each.metadata["Name"]
    if name and name.lower() not in found:
        direct = json.loads(each.read_text("direct_url.json") or "{}")
        found[name.lower()] = [name, each.version, direct]
print(json.dumps([platform.python_version(), sorted(found.values(), key=str)]))
"""
# What makes an environment brings along by itself.
_TOOLS = ("pip",)


@dataclass(frozen=True, kw_only=True)
class InterpreterFacts:
    """What an interpreter says of itself."""

    version: str
    executable: str


def check_interpreter(path: str) -> InterpreterFacts:
    """Ask the interpreter at `path` for its version; "" is the portal's own.

    Raises UserError with what is wrong, and what to give instead.
    """
    version, executable = _answer(path, _QUESTION)
    return InterpreterFacts(version=str(version), executable=str(executable))


def is_elsewhere(path: str) -> bool:
    """Whether it can only be on a machine over SSH, which is not asked now."""
    program = Path(path)
    if "\0" in path or not program.is_absolute() or os.path.lexists(program):
        return False
    return ComputeTarget.objects.reachable().filter(kind=SSH).exists()


def capture(path: str) -> Read:
    """An environment with the packages that the interpreter at `path` has, pinned."""
    version, packages = _answer(path, _PACKAGES)
    lines, notes = [], []
    for name, number, direct in packages:
        if name.lower() in _TOOLS:
            continue
        if line := _line(name, number, direct):
            lines.append(line)
        else:
            notes.append(f"{name} was installed from a folder, and is left out.")
    python = ".".join(str(version).split(".")[:2])
    definition = Definition.of_packages(*lines, python=python)
    return Read(definition=definition, notes=tuple(notes))


def _line(name: str, version: str, direct: dict[str, Any]) -> str:
    """The package as pip would install it again; "" if only that machine can."""
    address = str(direct.get("url", ""))
    if not address:
        return f"{name}=={version}"
    if address.startswith("file:"):
        return ""
    if vcs := direct.get("vcs_info"):
        return f"{name} @ {vcs.get('vcs')}+{address}@{vcs.get('commit_id')}"
    return f"{name} @ {address}"


def _answer(path: str, question: str) -> list[Any]:
    """The pair that the interpreter prints as JSON when it is asked."""
    program = Path(path or sys.executable)
    _check_file(program)
    try:
        first, second = json.loads(_ask(program, question))
    except ProgramTimeout as error:
        raise UserError(
            f"{program} did not answer within {_TIMEOUT} seconds.",
            "Give the path of a Python interpreter.",
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{program} is not a Python interpreter.",
            "Give the path of one, such as /usr/bin/python3.",
        ) from error
    return [first, second]


def _ask(program: Path, question: str) -> bytes:
    _, answer, _ = run_program(
        [program, "-I", "-c", question],
        folder=Path("/"),
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        seconds=_TIMEOUT,
    )
    return answer


def _check_file(program: Path) -> None:
    advice = "Give the path of a Python interpreter, such as /usr/bin/python3."
    if "\0" in str(program):
        raise UserError("The path contains a NUL character.", advice)
    if not program.is_absolute():
        raise UserError(f"{program} is not a path from the root.", advice)
    try:
        is_folder, is_file = program.is_dir(), program.is_file()
    except OSError as error:
        raise UserError(
            f"{program} can't be read: {error.strerror}.", advice
        ) from error
    if is_folder:
        raise UserError(f"{program} is a folder.", advice)
    if not is_file:
        raise UserError(f"{program} does not exist on the portal's machine.", advice)
