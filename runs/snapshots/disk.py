"""Writing, flushing and holding files as the system does it best."""

import ctypes
import fcntl
import io
import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

_FEW = 100
_libc = ctypes.CDLL(None, use_errno=True)


def flush(folder: Path) -> None:
    """Write all that the file system of `folder` still holds in memory to the disk.

    One call for any number of files, where flushing each would take seconds.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if _libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Write all below `folder` to the disk.

    One by one where they are few: the other way waits for what anybody else writes.
    """
    paths = [folder, *islice(folder.rglob("*"), _FEW)]
    if len(paths) > _FEW:
        flush(folder)
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(file: io.FileIO, data: bytes) -> None:
    """Write all of `data` to a file without a buffer, which may take it in parts."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def hold(descriptor: int) -> None:
    """Hold an open file until it is closed, by whatever end of the process."""
    # Some network file systems know no such thing.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def try_hold(descriptor: int) -> bool:
    """Hold an open file as `hold` does, unless somebody else does; whether it is."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # As in `hold`.
        return True
    return True


def let_go(descriptor: int) -> None:
    """Hold it no longer; to close it is too late if a process was just being started,
    which has a copy for a moment.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return not try_hold(descriptor)
    finally:
        os.close(descriptor)
