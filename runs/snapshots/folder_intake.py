"""Reads folders of this machine."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runs.snapshots.collector import Collector
from runs.snapshots.errors import SnapshotError
from runs.snapshots.names import show

_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def read_folder_into(collector: Collector, folder: Path) -> None:
    """Read all below `folder`, and follow no link."""
    top = str(folder)
    # No recursion: folders can be deeper than Python's stack.
    waiting = [""]
    while waiting:
        path = waiting.pop()
        prefix = f"{path}/" if path else ""
        with _told(path or top):
            entries = _entries(f"{top}/{path}")
        if path and not entries:
            collector.add_folder(path)
        for entry in entries:
            below = collector.wanted(prefix + entry.name)
            if below is None:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(below)
            else:
                _read_entry(entry, below, collector)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def _read_entry(entry: os.DirEntry[str], path: str, collector: Collector) -> None:
    if entry.is_symlink():
        with _told(path):
            target = os.readlink(entry.path)  # noqa: PTH115
        collector.add_link(path, target)
    elif entry.is_file(follow_symlinks=False):
        _read_file(entry.path, path, collector)
    else:
        raise _no_file(path)


def _read_file(source: str, path: str, collector: Collector) -> None:
    # Whatever lies there by now: no link is followed, and no pipe is waited for.
    with _told(path):
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(path)
        executable = bool(status.st_mode & 0o100)
        collector.add_file(path, file, size=status.st_size, executable=executable)


def _no_file(path: str) -> SnapshotError:
    return SnapshotError(
        f"“{show(path)}” is a device, a pipe or a socket, not a file.", "Leave it out."
    )


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what keeps others from being read into a SnapshotError."""
    try:
        yield
    except PermissionError as error:
        raise SnapshotError(
            f"“{show(path)}” may not be read.",
            "Allow it to the account of the portal, or leave it out.",
        ) from error
    except OSError as error:
        if error.errno not in _MOVED:
            raise
        raise SnapshotError(
            f"“{show(path)}” is not there, or was changed while it was read.",
            "Try again when nothing changes in the folder.",
        ) from error
