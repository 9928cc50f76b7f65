"""Lays a snapshot out into a working folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runs.snapshots.disk import copy_bytes, hold
from runs.snapshots.errors import full_disk_told
from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.store import Store, damaged_store


def check_out(manifest: Manifest, store: Store, folder: Path) -> None:
    """Make `folder`, all of it at once; if it is there already, leave it alone.

    The files are copies: a script may change its own and harm no other. It may be
    killed at any time and called again, and called twice at once; a power cut is the
    caller's to mend, since waiting for the disk would hold up every run. Raises
    SnapshotError if the disk is full or the store is damaged.
    """
    with _alone(folder.parent), full_disk_told():
        if folder.exists():
            return
        fresh = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            _fill(fresh, manifest, store)
            fresh.rename(folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for others who make something in `folder`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Where no folder can be held, two at once fail, and the next try makes it good.
        hold(descriptor)
        yield
    finally:
        os.close(descriptor)


def _fill(folder: Path, manifest: Manifest, store: Store) -> None:
    folder.mkdir(mode=0o700)
    root = str(folder)
    made = {root}
    # Links come last, so that nothing is ever written through one.
    for entry in sorted(manifest.entries, key=lambda entry: entry.kind == "link"):
        path = f"{root}/{entry.path}"
        _make_folders(path if entry.kind == "folder" else _parent(path), made)
        match entry.kind:
            case "file":
                _copy(entry, store, path)
            case "link":
                os.symlink(entry.target, path)  # noqa: PTH211


def _make_folders(path: str, made: set[str]) -> None:
    missing = []
    while path not in made:
        missing.append(path)
        path = _parent(path)
    for each in reversed(missing):
        os.mkdir(each)  # noqa: PTH102
    made.update(missing)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _copy(entry: Entry, store: Store, path: str) -> None:
    mode = 0o755 if entry.executable else 0o644
    with store.open_whole(entry.sha256) as source:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            copied = copy_bytes(source.fileno(), target, entry.size)
        finally:
            os.close(target)
    if copied != entry.size:
        raise damaged_store()
