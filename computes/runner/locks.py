"""Locks of files, which the system takes from a process that dies.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Iterator


def open_lock(path: str) -> int:
    """The descriptor of a lock, which is held until it is closed."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def take(descriptor: int, how: int, *, wait: bool = True) -> bool:
    """Lock it, alone or with others; False if others hold it, unless that is awaited.

    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked(path: str, how: int, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock through the block; yields whether it was to be had."""
    descriptor = open_lock(path)
    try:
        yield take(descriptor, how, wait=wait)
    finally:
        os.close(descriptor)
