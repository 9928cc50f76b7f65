"""The sparse line index beside a log: std_log.idx for std_log.txt.

Entry k tells two things about byte k * 65536 of the log: how many newlines stand
before it, and where the line that contains it starts. An entry is two big-endian
unsigned integers of 8 bytes. What an entry says never changes while the log grows.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STRIDE = 64 * 1024

_ENTRY = struct.Struct(">QQ")
# Entries that are written at once while a long log is indexed: 16 MiB of log.
_BATCH = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What is known about the byte at `offset`."""

    offset: int
    newlines: int
    line_start: int

    def after(self, data: bytes) -> "Mark":
        """The mark behind `data`, which begins at this one."""
        last = data.rfind(b"\n")
        return Mark(
            offset=self.offset + len(data),
            newlines=self.newlines + data.count(b"\n"),
            line_start=self.line_start if last < 0 else self.offset + last + 1,
        )


TOP = Mark(offset=0, newlines=0, line_start=0)


def index_path(log: Path) -> Path:
    return log.with_suffix(".idx")


class LogIndexWriter:
    """Keeps the index of one log up to date.

    The index is derived, so nothing is lost with it and no caller has to care about
    its state: every `extend` looks at what is there and mends it. Entries have fixed
    places and only one possible content, so several writers agree; a lock keeps one
    from cutting off what another is just writing.
    """

    def __init__(self, log: Path, *, stride: int = STRIDE) -> None:
        self._log_path = log
        self._stride = stride
        self._log = self._index = -1

    def extend(self) -> None:
        """Index what the log has grown by; call it after every append.

        It costs two system calls unless a stride was filled. An index that can't be
        written, on a full disk for example, only makes reading slower.
        """
        if not self._open():
            return
        # The index first: a log that grows in between explains a short index, and
        # only a log that shrank explains a long one.
        indexed = os.fstat(self._index).st_size
        size = os.fstat(self._log).st_size
        if indexed != self._entries(size) * _ENTRY.size:
            with contextlib.suppress(OSError), _locked(self._index):
                self._mend()

    def restart(self) -> None:
        """Forget everything: the log begins anew."""
        if self._open():
            with contextlib.suppress(OSError), _locked(self._index):
                os.ftruncate(self._index, 0)

    def rebuild(self) -> None:
        self.restart()
        self.extend()

    def close(self) -> None:
        for descriptor in (self._log, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._index = -1

    def _open(self) -> bool:
        """Open the log and its index; False while there is nothing to index."""
        if self._index >= 0:
            return True
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            if self._log < 0:
                self._log = os.open(self._log_path, os.O_RDONLY | os.O_CLOEXEC)
            index = index_path(self._log_path)
            # A small log gets no index file: its only entry is known beforehand.
            if os.fstat(self._log).st_size < self._stride and not index.exists():
                return False
            self._index = os.open(index, flags, 0o600)
        except OSError:
            return False
        return True

    def _entries(self, size: int) -> int:
        count = size // self._stride + 1
        return count if count > 1 else 0

    def _mend(self) -> None:
        good = os.fstat(self._index).st_size // _ENTRY.size
        good = self._trusted(min(good, self._entries(os.fstat(self._log).st_size)))
        os.ftruncate(self._index, good * _ENTRY.size)
        batch = bytearray()
        for mark in self._marks_after(self._entry(good - 1) if good else TOP):
            if not good and not batch:
                batch += _ENTRY.pack(0, 0)
            batch += _ENTRY.pack(mark.newlines, mark.line_start)
            if len(batch) >= _BATCH * _ENTRY.size:
                good = self._write(good, batch)
                batch.clear()
        self._write(good, batch)

    def _trusted(self, count: int) -> int:
        """`count`, if its last entry follows from the one before, else 0."""
        if count < 2:
            return 0
        before, last = self._entry(count - 2), self._entry(count - 1)
        follows = before.after(os.pread(self._log, self._stride, before.offset))
        return count if follows == last else 0

    def _entry(self, number: int) -> Mark:
        data = os.pread(self._index, _ENTRY.size, number * _ENTRY.size)
        newlines, line_start = _ENTRY.unpack(data)
        return Mark(
            offset=number * self._stride, newlines=newlines, line_start=line_start
        )

    def _marks_after(self, mark: Mark) -> Iterator[Mark]:
        while True:
            block = os.pread(self._log, self._stride, mark.offset)
            if len(block) < self._stride:
                return
            mark = mark.after(block)
            yield mark

    def _write(self, number: int, entries: bytearray) -> int:
        """Put `entries` at `number`; the number behind the last of them."""
        place, end = number * _ENTRY.size, number * _ENTRY.size + len(entries)
        while place < end:
            place += os.pwrite(self._index, entries[place - end :], place)
        return end // _ENTRY.size


class LogIndex:
    """The index as a reader sees it: some entries, each checked before it is used."""

    def __init__(
        self, index: int, log: int, *, log_size: int, stride: int = STRIDE
    ) -> None:
        self._index = index
        self._log = log
        self._stride = stride
        stored = os.fstat(index).st_size // _ENTRY.size if index >= 0 else 0
        # Entry 0 needs no file, and one beyond the log is of a longer log.
        self.count = max(1, min(stored, log_size // stride + 1))

    def __getitem__(self, number: int) -> Mark:
        """Entry `number`; raises `DamagedIndexError` if it can't be true."""
        if not number:
            return TOP
        mark = self._read(number)
        if not self._is_plausible(mark):
            raise DamagedIndexError
        return mark

    def _read(self, number: int) -> Mark:
        data = os.pread(self._index, _ENTRY.size, number * _ENTRY.size)
        if len(data) < _ENTRY.size:
            raise DamagedIndexError
        newlines, line_start = _ENTRY.unpack(data)
        return Mark(
            offset=number * self._stride, newlines=newlines, line_start=line_start
        )

    def _is_plausible(self, mark: Mark) -> bool:
        start = mark.line_start
        if start > mark.offset or mark.newlines > start:
            return False
        if not mark.newlines:
            # So would a hole of zeros say; the first stride tells them apart.
            return start == 0 and b"\n" not in os.pread(self._log, self._stride, 0)
        return start > 0 and os.pread(self._log, 1, start - 1) == b"\n"


class DamagedIndexError(Exception):
    """The index contradicts the log; it has to be built again."""


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
