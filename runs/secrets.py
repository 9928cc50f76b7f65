"""The secrets that people keep for their scripts, and when runs get them."""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from aml_portal.errors import UserError
from aml_portal.vault import Secret
from computes.hosts import LEAST_SECRET
from runs.configuration import ScriptRunConfiguration
from runs.models import NamedSecret, Run

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Twice what the longest keys take; all of it goes into the environment of a script.
LONGEST = 32 * 1024
_WHERE = "under Secrets, in the menu of your account"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}")


def keep_secret(owner: "User", *, name: str, value: str) -> NamedSecret:
    """Keep a value, in place of what had the name. Raises UserError."""
    if not _NAME.fullmatch(name):
        raise UserError(
            "That is no name for a secret.",
            "Use letters, digits, dots, dashes and underscores, at most 127 of them.",
        )
    value = _tidy(value)
    _check_value(value)
    kept, _ = NamedSecret.objects.update_or_create(
        owner=owner, name=name, defaults={"value": Secret.of(value)}
    )
    return kept


def check_secrets(owner: "User", configuration: ScriptRunConfiguration) -> None:
    """Raise UserError unless `owner` keeps all that a run refers to."""
    wanted = {*configuration.secrets.values()}
    for name in sorted(wanted - _kept_by(owner, wanted).keys()):
        raise UserError(
            f"You keep no secret “{name}”.",
            f"Keep one of this name {_WHERE}, or choose another.",
        )


def reveal_secrets(run: Run) -> dict[str, str]:
    """Variable → value of the secrets of a run. Raises PortalError."""
    wanted = run.configuration.secrets
    kept = _kept_by(run.owner, wanted.values()) if wanted else {}
    for name in wanted.values():
        if name not in kept:
            raise UserError(
                f"{run.owner} keeps no secret “{name}” any more.",
                f"Keep it again {_WHERE}, then resubmit the run.",
            )
    return {variable: kept[name].reveal() for variable, name in wanted.items()}


def _kept_by(owner: "User", names: Collection[str]) -> dict[str, Secret]:
    found = NamedSecret.objects.filter(owner=owner, name__in=names)
    return dict(found.values_list("name", "value"))


def _tidy(value: str) -> str:
    """Without what is around it; a key of several lines ends its last one."""
    text = value.replace("\r\n", "\n").strip()
    return f"{text}\n" if "\n" in text else text


def _check_value(value: str) -> None:
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise UserError(
            "The value has half of a Unicode surrogate pair.", "Copy it once more."
        ) from error
    if size < LEAST_SECRET:
        raise UserError(
            f"The value is shorter than {LEAST_SECRET} characters, and can't be hidden"
            " in logs.",
            "Take a longer one.",
        )
    if size > LONGEST:
        raise UserError(
            f"The value is longer than {LONGEST // 1024} KiB.",
            "Keep a key that opens the rest, and put that into the snapshot encrypted.",
        )
    if "\0" in value:
        raise UserError("The value has a NUL character.", "Copy it once more.")
