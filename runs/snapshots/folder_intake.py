"""Reads folders of this machine."""

import os
import stat
from pathlib import Path

from runs.snapshots.collector import Collector
from runs.snapshots.errors import SnapshotError
from runs.snapshots.names import show


def read_folder_into(collector: Collector, folder: Path) -> None:
    """Read all below `folder`, and follow no link."""
    _read(str(folder), "", collector)


def _read(folder: str, prefix: str, collector: Collector) -> None:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    if not entries and prefix:
        collector.add_folder(prefix.rstrip("/"))
    for entry in entries:
        path = collector.wanted(prefix + entry.name)
        if path is not None:
            _read_entry(entry, path, collector)


def _read_entry(entry: os.DirEntry[str], path: str, collector: Collector) -> None:
    if entry.is_symlink():
        collector.add_link(path, os.readlink(entry.path))  # noqa: PTH115
    elif entry.is_dir():
        _read(entry.path, f"{path}/", collector)
    else:
        _read_file(entry.path, path, collector)


def _read_file(source: str, path: str, collector: Collector) -> None:
    # Whatever lies there by now: no link is followed, and no pipe is waited for.
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SnapshotError(
                f"“{show(path)}” is a device, a pipe or a socket, not a file.",
                "Leave it out.",
            )
        executable = bool(status.st_mode & 0o100)
        collector.add_file(path, file, size=status.st_size, executable=executable)
