"""The portal's own snapshot store, and the snapshots in it."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from runs.models import Run, Snapshot
from runs.snapshots import Limits, Manifest, Store, check_out


def store() -> Store:
    return Store(settings.OBJECTS_FOLDER)


def limits() -> Limits:
    return Limits(
        max_bytes=settings.SNAPSHOT_MAX_BYTES, max_files=settings.SNAPSHOT_MAX_FILES
    )


@lru_cache(maxsize=16)
def _manifest(identity: str) -> Manifest:
    return store().read_manifest(identity)


def read_manifest(snapshot: Snapshot) -> Manifest:
    return _manifest(snapshot.id)


def lay_out(run: Run, folder: Path) -> None:
    """Make the working folder of a run from its snapshot."""
    check_out(read_manifest(run.snapshot), store(), folder)
