"""Lays a snapshot out into a working folder."""

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.store import Store


def check_out(
    manifest: Manifest,
    store: Store,
    folder: Path,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Make `folder`, all of it at once; if it is there already, leave it alone.

    The files are copies: a script may change its own and harm no other. It may be
    killed at any time and called again. `beat` is called after each file.
    """
    if folder.exists():
        return
    for leftover in folder.parent.glob(f"{folder.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = folder.with_name(f"{folder.name}.new-{uuid.uuid4().hex[:8]}")
    fresh.mkdir(mode=0o700, parents=True)
    links = []
    for entry in manifest.entries:
        path = fresh / entry.path
        if entry.kind == "link":
            links.append((path, entry.target))
            continue
        if entry.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            continue
        _copy(entry, store, path)
        beat()
    # Last, so that no file is ever written through one.
    for path, target in links:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    try:
        fresh.rename(folder)
    except OSError:
        # Another try was quicker: its folder is the same.
        shutil.rmtree(fresh, ignore_errors=True)
        if not folder.exists():
            raise


def _copy(entry: Entry, store: Store, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o755 if entry.executable else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with store.open(entry.sha256) as source, os.fdopen(descriptor, "wb") as copy:
        shutil.copyfileobj(source, copy, 1024 * 1024)
