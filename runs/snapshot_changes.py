"""What differs between two snapshots of the store; they never change, nor does this."""

from functools import lru_cache

from runs.models import Run, Snapshot
from runs.snapshots import SnapshotError
from runs.snapshots.changes import Changes, changes
from runs.snapshots.manifest import Entry
from runs.storage import read_manifest, store

_MOST_OFFERED = 20
# Many runs may have one snapshot.
_MOST_LOOKED_AT = 200


def snapshot_changes(before: Snapshot, after: Snapshot) -> Changes:
    """Raises SnapshotError if one of the two is damaged."""
    return _changes(before.pk, after.pk)


def runs_to_compare(snapshot: Snapshot, text: str) -> list[Run]:
    """The last runs that `text` names and that have another snapshot, one for each."""
    runs = Run.objects.with_names().select_related("snapshot").named(text)
    others = runs.exclude(snapshot=snapshot).order_by("-id")[:_MOST_LOOKED_AT]
    newest: dict[str, Run] = {}
    for run in others:
        newest.setdefault(run.snapshot_id, run)
    return list(newest.values())[:_MOST_OFFERED]


def last_users(*snapshots: Snapshot) -> list[tuple[Snapshot, Run | None]]:
    """Each with the last run that used it."""
    runs = Run.objects.select_related("experiment", "owner").order_by("-id")
    return [(each, runs.filter(snapshot=each).first()) for each in snapshots]


def read_entry(entry: Entry) -> bytes:
    """The content of a file. Raises SnapshotError if it is not in the store."""
    with store().open(entry.sha256) as file:
        return file.read()


@lru_cache(maxsize=16)
def _changes(before: str, after: str) -> Changes:
    manifests = (read_manifest(Snapshot(pk=key)) for key in (before, after))
    return changes(*manifests, read=_read_or_nothing)


def _read_or_nothing(entry: Entry) -> bytes:
    """A file that is lost is like no other; the page of its diff tells that."""
    try:
        return read_entry(entry)
    except SnapshotError:
        return b""
