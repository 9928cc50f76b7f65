"""The frames that `runner follow` writes: a JSON header line, then its payload."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# More than the runner ever says in a header, or sends after one.
_LONGEST = 1 << 25


class SpoiltFramesError(Exception):
    """What arrives are no frames: whoever sends it is not the runner."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """`payload` has as many bytes as the header says under "size", or none."""

    header: dict[str, Any]
    payload: bytes


class FrameReader:
    """Cuts a stream of bytes, however it arrives, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        # How many bytes of the buffer were taken; removed once per arrival, since
        # removing moves all that follows.
        self._taken = 0
        self._header: dict[str, Any] | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes."""
        self._buffer += data
        while frame := self._next():
            yield frame
        del self._buffer[: self._taken]
        self._taken = 0

    def _next(self) -> Frame | None:
        if self._header is None:
            newline = self._buffer.find(b"\n", self._taken)
            if newline < 0:
                if len(self._buffer) - self._taken > _LONGEST:
                    raise SpoiltFramesError
                return None
            self._header = _header(self._buffer[self._taken : newline])
            self._taken = newline + 1
        header = self._header
        end = self._taken + header.get("size", 0)
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            payload = bytes(view[self._taken : end])
        self._taken, self._header = end, None
        return Frame(header=header, payload=payload)


def _header(line: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SpoiltFramesError from error
    size = header.get("size", 0) if isinstance(header, dict) else None
    if not isinstance(size, int) or not 0 <= size <= _LONGEST:
        raise SpoiltFramesError
    found: dict[str, Any] = header
    return found
