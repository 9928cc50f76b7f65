"""Removes the snapshots that no run has any more, and what only they held."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from aml_portal.errors import PortalError, UserError
from aml_portal.sizes import spell_size
from runs.models import Run, Snapshot
from runs.snapshots import InUse, Store, Sum, Sweep, sweeping
from runs.storage import store

# Longer than any person needs to submit a source that was sent, and any process to keep
# one that it reads: see runs/snapshots/sweep.py.
_A_DAY = timedelta(days=1)
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a sweep did, or in a dry run would do."""

    snapshots: int
    objects: Sweep

    def __str__(self) -> str:
        swept = self.objects
        return "\n".join(
            (
                f"Snapshots that no run has, removed: {self.snapshots:,}",
                f"Files that nobody missed for a day, removed: {_spell(swept.removed)}",
                f"Files that nothing names, set aside: {_spell(swept.aside)}",
                f"Files that were aside and are in use, put back: {_spell(swept.back)}",
            )
        )


def sweep_snapshots(*, age: timedelta = _A_DAY, dry_run: bool = False) -> Report:
    """Sweep what has been of no use for an `age`; others may submit meanwhile.

    Raises PortalError if somebody else sweeps, or if the manifest of a snapshot can't
    be read: then nobody knows what it names, and no file is removed.
    """
    kept = store()
    with sweeping(kept):
        before = timezone.now() - age
        unused = _unused(before) if dry_run else _remove_unused(before)
        sweep = Sweep(
            store=kept,
            in_use=_in_use(kept, unused),
            before=before.timestamp(),
            dry_run=dry_run,
        )
        sweep.run()
    return Report(snapshots=len(unused), objects=sweep)


def _unused(before: datetime) -> set[str]:
    return set(Snapshot.objects.unused(before=before).values_list("pk", flat=True))


def _remove_unused(before: datetime) -> set[str]:
    """Remove the rows, some at a time; who submits one of them waits or is first."""
    removed: set[str] = set()
    while True:
        with transaction.atomic():
            unused = Snapshot.objects.unused(before=before).select_for_update()
            found = list(unused.values_list("pk", flat=True)[:_AT_ONCE])
            Snapshot.objects.filter(pk__in=found).delete()
        removed.update(found)
        if len(found) < _AT_ONCE:
            return removed


def _in_use(kept: Store, unused: set[str]) -> InUse:
    """What the database names, but for the snapshots that are `unused`."""
    in_use = InUse()
    for identity in list(Snapshot.objects.values_list("pk", flat=True)):
        if identity not in unused:
            in_use.add(identity)
            for sha256 in _named_by(kept, identity):
                in_use.add(sha256)
    patches = Run.objects.exclude(git_patch="").values_list("git_patch", flat=True)
    for sha256 in patches.order_by().distinct().iterator():
        in_use.add(sha256)
    return in_use


def _named_by(kept: Store, identity: str) -> set[str]:
    try:
        return {entry.sha256 for entry in kept.read_manifest(identity).files}
    except UserError as error:
        raise PortalError(
            f"The list of files of snapshot {identity} is missing or damaged, so no"
            " file was removed.",
            "Delete the runs that have it, or submit its source once more.",
        ) from error


def _spell(sum_: Sum) -> str:
    return f"{sum_.files:,} ({spell_size(sum_.bytes)})"
