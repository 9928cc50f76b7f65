"""What can be done to several runs at once, and how the result is told."""

from collections.abc import Mapping
from enum import StrEnum

from runs.models import RunQuerySet
from runs.services import (
    Deletion,
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
            active = runs.active().count()
            return _tell_cancel(total, active, cancel_runs(runs, by=by))
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
            return _tell_deletion(delete_runs(runs))


def _tell_cancel(total: int, active: int, done: int) -> str:
    words = [f"The cancel of {_runs(done)} is under way."]
    if active > done:
        words.append(f"{_runs(active - done)} will end without it.")
    if total > active:
        words.append(f"{_runs(total - active)} had ended already.")
    return " ".join(words)


def _tell_deletion(result: Deletion) -> str:
    words = [f"{_runs(result.deleted)} deleted."]
    if result.active:
        words.append(f"{_runs(result.active)} left: cancel them first.")
    if result.failed:
        words.append(f"{_runs(result.failed)} could not be deleted: {result.why}")
    return " ".join(words)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
