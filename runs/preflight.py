"""What a person sees of a snapshot before it is submitted."""

from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest

from django.conf import settings

from aml_portal.errors import UserError
from runs.file_names import printable
from runs.models import Run
from runs.snapshots import LONGEST_OFFER, Manifest, read_offer
from runs.snapshots.changes import Changes, changes
from runs.snapshots.manifest import Entry
from runs.snapshots.warnings import (
    DataFolder,
    data_folders,
    not_on_windows,
    secret_name,
    twins,
)
from runs.storage import limits, read_manifest, store

_LARGEST = 10
_MOST_LISTED = 200


@dataclass(kw_only=True)
class Preflight:
    """A manifest, what changed since `previous`, what is odd.

    `previous` is None for the first of the experiment, and while none is named.
    """

    manifest: Manifest
    experiment: str
    previous: Run | None
    changes: Changes
    largest: list[Entry]
    large: list[Entry]
    secrets: list[Entry]
    data: list[DataFolder]
    twins: list[tuple[str, str]]
    not_on_windows: list[Entry]

    @property
    def has_warnings(self) -> bool:
        odd_names = self.twins or self.not_on_windows
        return bool(self.large or self.secrets or self.data or odd_names)

    @property
    def sums(self) -> str:
        """Such as “2 new, 1 changed, 40 as before”."""
        found = self.changes
        counts = {
            "new": len(found.added),
            "changed": len(found.changed),
            "moved": len(found.renamed),
            "gone": len(found.removed),
            "as before": found.same,
        }
        return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)

    @cached_property
    def _signed(self) -> list[tuple[str, str]]:
        found = self.changes
        moved = (
            ("→", f"{printable(old.path)} → {printable(new.path)}")
            for old, new in found.renamed
        )
        return [
            *(("+", printable(entry.path)) for entry in found.added),
            *(("~", printable(entry.path)) for entry, _ in found.changed),
            *moved,
            *(("-", printable(entry.path)) for entry in found.removed),
        ]

    @property
    def listed_changes(self) -> list[tuple[str, str]]:
        """The first changes, each as a sign and a path."""
        return self._signed[:_MOST_LISTED]

    @property
    def unlisted_changes(self) -> int:
        return max(len(self._signed) - _MOST_LISTED, 0)


def preflight(identity: str, experiment: str) -> Preflight:
    """Look at a manifest in the store, whether its files are here or not.

    Raises UserError where there is none.
    """
    # Anything may lie under this name, so it is looked at like an offer.
    if (store().size(identity) or 0) > LONGEST_OFFER:
        raise UserError("This is no list of files.", "Choose the source once more.")
    with store().open_whole(identity) as file:
        manifest = read_offer(file.read(), limits())
    previous = _previous(experiment)
    files = manifest.files
    return Preflight(
        manifest=manifest,
        experiment=experiment,
        previous=previous,
        changes=changes(_manifest_of(previous), manifest),
        largest=nlargest(_LARGEST, files, key=lambda entry: entry.size),
        large=[e for e in files if e.size >= settings.SNAPSHOT_LARGE_FILE_BYTES],
        secrets=[entry for entry in files if secret_name(entry.path)],
        data=data_folders(manifest),
        twins=twins(manifest),
        not_on_windows=[e for e in manifest.entries if not_on_windows(e.path)],
    )


def _previous(experiment: str) -> Run | None:
    runs = Run.objects.select_related("experiment", "snapshot")
    return runs.filter(experiment__name=experiment).order_by("-id").first()


def _manifest_of(run: Run | None) -> Manifest:
    try:
        return read_manifest(run.snapshot) if run else Manifest(())
    except UserError:
        # Its snapshot is damaged: then everything counts as new.
        return Manifest(())
