"""Copying, flushing and holding files as the system does it best."""

import ctypes
import errno
import fcntl
import io
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

_FEW = 100
_AT_ONCE = 64 * 1024 * 1024
# Between file systems, or on one that can't do it, or on a kernel that can't.
_NOT_HERE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
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


def copy_bytes(source: int, target: int, size: int) -> int:
    """Copy `size` bytes between open files, or fewer at the end; how many they were.

    Where the file system can, both files share the bytes until one of them is changed.
    """
    try:
        _repeat(lambda count: os.copy_file_range(source, target, count), size)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    # Some file systems copy nothing and say that all went well.
    left = size - _position(target)
    _repeat(lambda count: os.sendfile(target, source, None, count), left)
    return _position(target)


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


def _repeat(copy: Callable[[int], int], size: int) -> None:
    while size > 0 and (copied := copy(min(size, _AT_ONCE))):
        size -= copied


def _position(descriptor: int) -> int:
    return os.lseek(descriptor, 0, os.SEEK_CUR)
