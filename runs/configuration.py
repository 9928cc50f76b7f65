"""The script run configuration: what to run, free of where and with what."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aml_portal.errors import UserError

# Azure ML's default: 30 days.
DEFAULT_MAX_DURATION = 30 * 24 * 3600
DEFAULT_GRACE = 30
LONGEST_GRACE = 24 * 3600
MOST_GPUS = 256
# Linux refuses a longer string in a program's arguments or environment.
_LONGEST_STRING = 128 * 1024 - 1
_LONGEST_TOGETHER = 1024 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class ScriptRunConfiguration:
    """A script of the snapshot, its arguments and variables, and its time limits.

    Durations are in seconds; a `max_run_duration_seconds` of None is no limit. The
    arguments reach the script as they are: no shell sees them. `gpus` is how many GPUs
    it needs on a node. `framework` follows from the target's kind, in Azure ML's words.
    `launch` is what that kind alone understands, as its form has cleaned it, such as
    the image of a container. `secrets` are variables, too: each has the name of a
    secret, whose value the owner of the run keeps.
    """

    script: str
    arguments: tuple[str, ...] = ()
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    max_run_duration_seconds: int | None = DEFAULT_MAX_DURATION
    grace_seconds: int = DEFAULT_GRACE
    gpus: int = 0
    framework: str = "Python"
    launch: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "ScriptRunConfiguration":
        return cls(**{**stored, "arguments": tuple(stored["arguments"])})

    def to_json(self) -> dict[str, Any]:
        plain = {"arguments": list(self.arguments), "launch": dict(self.launch)}
        return {**asdict(self), **plain}

    def check(self) -> None:
        """Raise UserError if the configuration can't be run on any target."""
        if not self.script:
            raise UserError("No script was chosen.", "Pick one from the files.")
        _check_arguments(self.arguments)
        _check_variables(self.environment_variables)
        _check_secrets(self.secrets, self.environment_variables)
        _check_durations(self.max_run_duration_seconds, self.grace_seconds)
        if not 0 <= self.gpus <= MOST_GPUS:
            raise UserError(
                f"{self.gpus} is no number of GPUs.",
                f"Ask for a number from 0 to {MOST_GPUS}.",
            )


def _check_arguments(arguments: tuple[str, ...]) -> None:
    for number, argument in enumerate(arguments, start=1):
        if "\0" in argument:
            raise UserError(
                f"Argument {number} contains a NUL character, which no program can"
                " receive.",
                "Remove it.",
            )
        if len(_encoded(argument, f"Argument {number}")) > _LONGEST_STRING:
            raise UserError(
                f"Argument {number} is longer than 128 KiB.",
                "Put the text into a file and give its name.",
            )
    if sum(len(argument) for argument in arguments) > _LONGEST_TOGETHER:
        raise UserError(
            "The arguments together are longer than 1 MiB.",
            "Put them into a file and give its name.",
        )


def _check_variables(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        _check_variable(name)
        if "\0" in value:
            raise UserError(
                f"The value of {name} contains a NUL character.", "Remove it."
            )
        if len(_encoded(value, f"The value of {name}")) + len(name) > _LONGEST_STRING:
            raise UserError(
                f"The value of {name} is longer than 128 KiB.",
                "Put it into a file of the snapshot.",
            )


def _check_variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise UserError(
            f"“{name}” is not a name for an environment variable.",
            "Use letters, digits and underscores, not beginning with a digit.",
        )


def _check_secrets(secrets: Mapping[str, str], variables: Mapping[str, str]) -> None:
    for name, secret in secrets.items():
        _check_variable(name)
        if not secret:
            raise UserError(
                f"The variable {name} has no secret.", "Choose one, or remove the row."
            )
        if name in variables:
            raise UserError(
                f"The variable {name} has a value and a secret.", "Remove one of them."
            )


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{what} contains half of a Unicode surrogate pair.", "Remove it."
        ) from error


def _check_durations(limit: int | None, grace: int) -> None:
    if limit is not None and limit < 1:
        raise UserError(
            "The maximum duration is less than a second.",
            "Give a longer one, or none.",
        )
    if not 0 <= grace <= LONGEST_GRACE:
        raise UserError(
            "The grace period is not between 0 seconds and one day.",
            "Give the seconds that the script may take to end after a cancel.",
        )
