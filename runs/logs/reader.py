"""Answers about a log by line number and by offset."""

import codecs
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from runs.logs.index import (
    STRIDE,
    TOP,
    DamagedIndexError,
    LogIndex,
    LogIndexWriter,
    Mark,
    index_path,
)

_TAIL_LINES = 200
_TAIL_BYTES = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class LineLimits:
    """How much of the lines an answer holds."""

    # A line of more bytes than `whole` is cut to its first and last `piece` bytes.
    piece: int = 8 * 1024
    whole: int = 16 * 1024
    # No further line is added to an answer of so many bytes.
    answer: int = 1024 * 1024
    # Bytes that are read at once.
    read: int = 256 * 1024


_LIMITS = LineLimits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line at `offset` of `length` bytes, its newline not counted.

    `end` is the end of the text where the middle was cut out, otherwise None.
    """

    offset: int
    length: int
    text: str
    end: str | None


class LogReader:
    """One look at a log: it stays as long as it was when the look began.

    A log that does not exist yet is empty.
    """

    def __init__(self, path: Path, *, stride: int = STRIDE) -> None:
        self._path = path
        self._stride = stride
        self._writer = LogIndexWriter(path, stride=stride)
        self._log = _open(path)
        self._index_file = -1
        self.size = os.fstat(self._log).st_size if self._log >= 0 else 0
        self._writer.extend()
        self._load_index()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._writer.close()
        for descriptor in (self._log, self._index_file):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._index_file = -1
        self.size = 0

    @cached_property
    def total(self) -> int:
        """The number of lines, an unfinished last one included."""
        end = self.mark_at(self.size)
        return end.newlines + (end.line_start < self.size)

    def mark_at(self, offset: int) -> Mark:
        """The line that contains `offset`: its number is the newlines before it."""
        offset = min(offset, self.size)
        mark = self._entry(min(offset // self._stride, self._index.count - 1))
        while mark.offset < offset:
            data = self.read(mark.offset, min(self._stride, offset - mark.offset))
            if not data:
                break
            mark = mark.after(data)
        return mark

    def offset_of(self, line: int) -> int:
        """Where line `line` starts; the end of the log if there is none."""
        mark = self._entry_before(line)
        if mark.newlines == line:
            return mark.line_start
        return self._behind_newline(line - mark.newlines, mark.offset)

    def line_end(self, start: int, line: int) -> int:
        """Where the newline of `line`, which starts at `start`, stands.

        It is looked up and not searched for: the line may be very long.
        """
        found = self.read(start, self._stride).find(b"\n")
        if found >= 0:
            return start + found
        # The last entry that still is in this line; its end is within a stride.
        mark = self._entry_before(line)
        return self._next_newline(max(start, mark.offset))

    def lines(
        self, start: int, count: int, limits: LineLimits = _LIMITS
    ) -> Iterator[Line]:
        """Up to `count` lines from line `start` on, fewer if they are large."""
        offset, budget = self.offset_of(start), limits.answer
        window = _Window(self, limits.read)
        for number in range(start, start + count):
            if offset >= self.size or budget <= 0:
                return
            line = self._line(offset, number, window, limits)
            budget -= min(line.length, limits.whole)
            offset += line.length + 1
            yield line

    def tail_start(self, lines: int, reach: int) -> tuple[int, int]:
        """The offset and number of the line with which the end of the log begins.

        At most `reach` bytes before the end, which is in the middle of a line if
        none starts there.
        """
        line = max(0, self.total - lines)
        offset = self.offset_of(line)
        if self.size - offset <= reach:
            return offset, line
        offset = self.size - reach
        found = self.read(offset - 1, reach + 1).find(b"\n")
        mark = self.mark_at(offset + max(found, 0))
        return mark.offset, mark.newlines

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        return os.pread(self._log, length, offset) if length > 0 else b""

    def _line(
        self, offset: int, number: int, window: "_Window", limits: LineLimits
    ) -> Line:
        end = window.newline(offset)
        if end < 0:
            end = self.line_end(offset, number)
        length = end - offset
        if length <= limits.whole:
            text = window.slice(offset, end).decode(errors="replace")
            return Line(offset=offset, length=length, text=text, end=None)
        tail = self.read(end - limits.piece, limits.piece)
        return Line(
            offset=offset,
            length=length,
            text=without_torn_end(window.slice(offset, offset + limits.piece)),
            end=from_character(tail).decode(errors="replace"),
        )

    def _next_newline(self, offset: int) -> int:
        while data := self.read(offset, self._stride):
            found = data.find(b"\n")
            if found >= 0:
                return offset + found
            offset += len(data)
        return self.size

    def _behind_newline(self, count: int, offset: int) -> int:
        while data := self.read(offset, self._stride):
            found = data.count(b"\n")
            if found >= count:
                return offset + len(data) - len(data.split(b"\n", count)[-1])
            count -= found
            offset += len(data)
        return self.size

    def _entry(self, number: int) -> Mark:
        """The last entry that is not behind entry `number`."""
        return self._trusted(lambda index: index[min(number, index.count - 1)])

    def _entry_before(self, line: int) -> Mark:
        """The last entry that is not behind the newline of `line`."""

        def look(index: LogIndex) -> Mark:
            entries = range(index.count)
            behind = bisect_right(entries, line, key=lambda k: index[k].newlines)
            return index[max(behind - 1, 0)]

        return self._trusted(look)

    def _trusted(self, look: Callable[[LogIndex], Mark]) -> Mark:
        try:
            return look(self._index)
        except DamagedIndexError:
            self._writer.rebuild()
            self._load_index()
        try:
            return look(self._index)
        except DamagedIndexError:
            # It could not be written. Whoever reads on from here is slow, but right.
            return TOP

    def _load_index(self) -> None:
        if self._index_file < 0:
            self._index_file = _open(index_path(self._path))
        self._index = LogIndex(
            self._index_file, self._log, log_size=self.size, stride=self._stride
        )


class _Window:
    """The piece of a log that is read at the moment, for reading forward."""

    def __init__(self, log: LogReader, size: int) -> None:
        self._log = log
        self._size = size
        self._start = 0
        self._data = b""

    def newline(self, offset: int) -> int:
        """The next newline from `offset` on; -1 if none is near."""
        found = self._find(offset)
        if found < 0:
            self._start, self._data = offset, self._log.read(offset, self._size)
            found = self._find(offset)
        return found

    def slice(self, start: int, end: int) -> bytes:
        if self._start <= start and end <= self._start + len(self._data):
            return self._data[start - self._start : end - self._start]
        return self._log.read(start, end - start)

    def _find(self, offset: int) -> int:
        if offset < self._start:
            return -1
        found = self._data.find(b"\n", offset - self._start)
        return found if found < 0 else self._start + found


def total_lines(path: Path) -> int:
    """The number of lines, an unfinished last one included."""
    with LogReader(path) as log:
        return log.total


def line_of(path: Path, offset: int) -> int:
    """The number, from 0, of the line that contains byte `offset`."""
    with LogReader(path) as log:
        return log.mark_at(offset).newlines


def tail_start(path: Path) -> tuple[int, int]:
    """The offset and line number from which on a viewer of the end reads."""
    with LogReader(path) as log:
        return log.tail_start(_TAIL_LINES, _TAIL_BYTES)


def without_torn_end(data: bytes) -> str:
    """Decode bytes that may have been cut within a character at their end."""
    return codecs.getincrementaldecoder("utf-8")(errors="replace").decode(data)


def from_character(data: bytes) -> bytes:
    """Leave out the rest of a character that bytes may have been cut within."""
    torn = 0
    while torn < min(3, len(data)) and data[torn] & 0xC0 == 0x80:
        torn += 1
    return data[torn:]


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
