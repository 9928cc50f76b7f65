"""Remembers what was found in the files of a folder, so that those that are as they
were need not be read again.
"""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

# How far the clock of a file system may lag behind, and how coarse it may be: a file
# that was changed so shortly before it was looked at may change again unseen.
_YOUNG = 2 * 10**9


class Found(NamedTuple):
    """The SHA-256 of a file, and what of a secret is in it, if anything is."""

    sha256: str
    secret: str


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    size: int
    modified: int
    changed: int
    inode: int
    sha256: str
    # What of a secret is in it, which is to be told each time.
    secret: str


_decoder = msgspec.msgpack.Decoder(dict[str, _Seen])


class StatCache:
    """What one file remembers of a folder; a damaged one remembers nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.time_ns()
        self._before = _load(file)
        self._now: dict[str, _Seen] = {}

    def known(self, path: str, status: os.stat_result) -> Found | None:
        """What was found in the file at `path` when it was as it is now."""
        seen = self._before.get(path)
        if seen is None:
            return None
        found = Found(seen.sha256, seen.secret)
        if seen != _seen(status, found):
            return None
        self._now[path] = seen
        return found

    def keep(self, path: str, status: os.stat_result, found: Found) -> None:
        """Remember a file; `status` is from before it was read."""
        if max(status.st_mtime_ns, status.st_ctime_ns) < self._began - _YOUNG:
            self._now[path] = _seen(status, found)

    def save(self) -> None:
        """Forget all that was not asked about; a full disk only costs time."""
        if self._now == self._before:
            return
        fresh = self._file.with_name(f"{self._file.name}.{uuid.uuid4().hex}")
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.msgpack.encode(self._now))
            fresh.replace(self._file)
        fresh.unlink(missing_ok=True)


def _load(file: Path) -> dict[str, _Seen]:
    try:
        return _decoder.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _seen(status: os.stat_result, found: Found) -> _Seen:
    return _Seen(
        size=status.st_size,
        modified=status.st_mtime_ns,
        changed=status.st_ctime_ns,
        inode=status.st_ino,
        sha256=found.sha256,
        secret=found.secret,
    )
