"""What can be done to several runs at once, and how the result is told."""

from collections.abc import Mapping
from enum import StrEnum

from runs.models import RunQuerySet
from runs.services import (
    archive_runs,
    cancel_runs,
    delete_runs,
    restore_runs,
    tag_runs,
    untag_runs,
)


class Action(StrEnum):
    CANCEL = "cancel"
    TAG = "tag"
    UNTAG = "untag"
    ARCHIVE = "archive"
    RESTORE = "restore"
    DELETE = "delete"


def apply(
    action: Action, runs: RunQuerySet, *, by: str, data: Mapping[str, str]
) -> str:
    """Do `action` to `runs`; what was done, in a sentence. Raises UserError."""
    name, value = data.get("tag_name", ""), data.get("tag_value", "")
    # Counted first: afterwards they may match the filter no longer.
    total = runs.count()
    match action:
        case Action.CANCEL:
            done = cancel_runs(runs, by=by)
            left = f" {_runs(total - done)} had ended already." if total > done else ""
            return f"The cancel of {_runs(done)} is under way.{left}"
        case Action.TAG:
            tag_runs(runs, name, value)
            return f"{_runs(total)} got the tag “{name.strip()}”."
        case Action.UNTAG:
            done = untag_runs(runs, name.strip())
            return f"The tag “{name.strip()}” was taken from {_runs(done)}."
        case Action.ARCHIVE:
            return f"{_runs(archive_runs(runs))} archived."
        case Action.RESTORE:
            return f"{_runs(restore_runs(runs))} brought back from the archive."
        case Action.DELETE:
            deleted, refused = delete_runs(runs)
            left = f" {_runs(refused)} left: cancel them first." if refused else ""
            return f"{_runs(deleted)} deleted.{left}"


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
