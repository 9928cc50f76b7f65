"""What people do with environments: check an interpreter, save a definition."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from aml_portal.errors import UserError
from environments.definition import Definition
from environments.models import Environment

_TIMEOUT = 10
# -I keeps the interpreter from importing anything that lies about.
_QUESTION = (
    "import json, platform, sys;"
    "print(json.dumps([platform.python_version(), sys.executable]))"
)


@dataclass(frozen=True, kw_only=True)
class InterpreterFacts:
    """What an interpreter says of itself."""

    version: str
    executable: str


def check_interpreter(path: str) -> InterpreterFacts:
    """Ask the interpreter at `path` for its version; "" is the portal's own.

    Raises UserError with what is wrong, and what to give instead.
    """
    program = Path(path or sys.executable)
    _check_file(program)
    try:
        version, executable = json.loads(_ask(program))
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{program} did not answer within {_TIMEOUT} seconds.",
            "Give the path of a Python interpreter.",
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{program} is not a Python interpreter.",
            "Give the path of one, such as /usr/bin/python3.",
        ) from error
    return InterpreterFacts(version=str(version), executable=str(executable))


def _ask(program: Path) -> bytes:
    with subprocess.Popen(
        [program, "-I", "-c", _QUESTION],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=_TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            # With all that it has started.
            os.killpg(process.pid, signal.SIGKILL)
            raise


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


def save_environment(
    *, name: str, definition: Definition, description: str = ""
) -> Environment:
    """Save a definition: a new version, unless it is the latest one unchanged.

    Raises UserError.
    """
    version = _interpreter_version(definition)
    content = definition.to_json()
    with transaction.atomic():
        latest = Environment.objects.filter(name=name).order_by("-version").first()
        if latest and latest.definition == definition:
            Environment.objects.filter(pk=latest.pk).update(
                description=description, python_version=version, archived_at=None
            )
            latest.refresh_from_db()
            return latest
        environment = Environment(
            name=name,
            version=latest.version + 1 if latest else 1,
            description=description,
            content=content,
            python_version=version,
        )
        try:
            environment.full_clean()
        except ValidationError as error:
            raise UserError(" ".join(error.messages)) from error
        environment.save()
    return environment


def _interpreter_version(definition: Definition) -> str:
    """Of an interpreter that is used as it is, which has to be there."""
    if not definition.is_user_managed:
        return ""
    return check_interpreter(definition.python.interpreter_path).version


def archive_environment(environment: Environment) -> None:
    """Offer the environment no longer; runs that used it keep it."""
    Environment.objects.filter(pk=environment.pk).update(archived_at=timezone.now())
