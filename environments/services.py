"""What people do with environments: check an interpreter, save a definition."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from aml_portal.errors import UserError
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
    *,
    name: str,
    interpreter_path: str,
    variables: Mapping[str, str],
    description: str = "",
) -> Environment:
    """Save a definition: a new version, unless it is the latest one unchanged."""
    facts = check_interpreter(interpreter_path)
    with transaction.atomic():
        latest = Environment.objects.filter(name=name).order_by("-version").first()
        if latest and _is_same(latest, interpreter_path, variables):
            Environment.objects.filter(pk=latest.pk).update(
                description=description, python_version=facts.version, archived_at=None
            )
            latest.refresh_from_db()
            return latest
        environment = Environment(
            name=name,
            version=latest.version + 1 if latest else 1,
            description=description,
            interpreter_path=interpreter_path,
            environment_variables=dict(variables),
            python_version=facts.version,
        )
        try:
            environment.full_clean()
        except ValidationError as error:
            raise UserError(" ".join(error.messages)) from error
        environment.save()
    return environment


def _is_same(
    latest: Environment, interpreter_path: str, variables: Mapping[str, str]
) -> bool:
    return (
        latest.interpreter_path == interpreter_path
        and latest.environment_variables == dict(variables)
    )


def archive_environment(environment: Environment) -> None:
    """Offer the environment no longer; runs that used it keep it."""
    Environment.objects.filter(pk=environment.pk).update(archived_at=timezone.now())
