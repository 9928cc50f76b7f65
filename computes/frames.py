"""The frames that `runner follow` writes: a JSON header line, then its payload."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Frame:
    """`payload` has as many bytes as the header says under "size", or none."""

    header: dict[str, Any]
    payload: bytes


class FrameReader:
    """Cuts a stream of bytes, however it arrives, into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._header: dict[str, Any] | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes."""
        self._buffer += data
        while True:
            if self._header is None:
                line, newline, _ = self._buffer.partition(b"\n")
                if not newline:
                    return
                self._header = json.loads(line)
                del self._buffer[: len(line) + 1]
            size = self._header.get("size", 0)
            if len(self._buffer) < size:
                return
            frame = Frame(header=self._header, payload=bytes(self._buffer[:size]))
            del self._buffer[:size]
            self._header = None
            yield frame
