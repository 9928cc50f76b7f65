"""The portal's own snapshot store, and the snapshots in it."""

import json
from functools import lru_cache

from django.conf import settings

from computes.hosts import Source
from runs.models import Snapshot
from runs.snapshots import Limits, Manifest, Store


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


def source_of(snapshot: Snapshot) -> Source:
    """A snapshot as a host takes it; what was swept aside of it is put back."""
    manifest = read_manifest(snapshot)
    for entry in manifest.files:
        store().size(entry.sha256)
    entries = json.loads(manifest.to_json())
    return Source(entries=entries, objects=settings.OBJECTS_FOLDER)
