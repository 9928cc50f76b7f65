"""Asks a `runner serve` that is elsewhere, over a channel of bytes."""

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from aml_portal.errors import TargetError
from computes.hosts.base import Source, TargetAwayError
from computes.hosts.packing import pack, packed_size
from computes.hosts.plain import plain

_SECONDS = 60.0
# Copying a folder of the largest size, or removing one, takes its time.
_LONG = 1800.0
_BLOCK = 64 * 1024
_LONGEST_ANSWER = 64 * 1024 * 1024
_ANSWERS = {"answer", "error", "lacking"}


class Channel(Protocol):
    """Bytes to and from one process on a host; calls raise OSError if it is gone."""

    def send(self, data: bytes) -> None: ...

    def receive(self, most: int, *, timeout: float) -> bytes:
        """What has arrived, once something has; b"" at the end."""

    def unread(self, data: bytes) -> None:
        """Have `data` arrive once more."""

    def complaints(self) -> bytes:
        """What has arrived of the process's standard error."""

    def is_open(self) -> bool:
        """Whether the far end is there still, as far as that is known."""

    def close(self) -> None: ...


class LackingError(Exception):
    """The host lacks a content that it had a moment ago."""


class Questions:
    """One question after another, from any thread; see computes/runner/server.py."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name
        self._turn = threading.Lock()
        self._rest = b""
        self._is_closed = False

    def is_open(self) -> bool:
        return not self._is_closed and self._channel.is_open()

    def ask(
        self,
        verb: str,
        *,
        body: Iterable[bytes] = (),
        size: int = 0,
        seconds: float = _SECONDS,
        **fields: Any,
    ) -> Any:
        """The answer. Raises TargetError, TargetAwayError if there is none."""
        question = json.dumps({"verb": verb, "size": size, **fields}).encode() + b"\n"
        with self._turn:
            try:
                self._channel.send(question)
                for piece in body:
                    self._channel.send(piece)
                said = json.loads(self._line(seconds))
                if not isinstance(said, dict) or not said.keys() & _ANSWERS:
                    raise ValueError("it says something else")
            except (OSError, EOFError, ValueError, RecursionError) as error:
                self.close()
                raise TargetAwayError(
                    f"{self._name} did not answer ({str(error) or 'in time'})."
                ) from error
            except BaseException:
                # A question that was sent in part would be mixed up with the next.
                self.close()
                raise
        if "lacking" in said:
            raise LackingError(said["lacking"])
        if "error" in said:
            advice = "Free some space there." if said.get("is_full") else ""
            words = plain(str(said["error"]))
            raise TargetError(f"{self._name} says: {words}", advice)
        return said["answer"]

    def stage(self, job: str, spec: dict[str, Any], source: Source) -> set[str]:
        """As `Host.stage` says."""
        sent, _ = self._ask_with(source, "stage", job=job, spec=spec)
        return sent

    def lay_out(self, name: str, source: Source) -> str:
        """As `Host.lay_out` says."""
        _, folder = self._ask_with(source, "lay_out", name=name)
        return str(folder)

    def _ask_with(
        self, source: Source, verb: str, **fields: Any
    ) -> tuple[set[str], Any]:
        """Ask for what needs the files of `source` there; what was sent, the answer."""
        body = json.dumps(source.entries).encode()

        def ask() -> Any:
            size = len(body)
            return self.ask(verb, body=[body], size=size, seconds=_LONG, **fields)

        sent = self._send_lacking(source)
        try:
            return sent, ask()
        except LackingError:
            # It was damaged there, which is found out only when it is read.
            sent |= self._send_lacking(source)
            try:
                return sent, ask()
            except LackingError as error:
                raise TargetError(f"{self._name} can't keep files whole.") from error

    def close(self) -> None:
        self._is_closed = True
        self._channel.close()

    def _send_lacking(self, source: Source) -> set[str]:
        contents = source.contents()
        question = json.dumps(list(contents.items())).encode()
        lacking = self.ask("lacking", body=[question], size=len(question))
        wanted = [(sha256, contents[sha256]) for sha256 in lacking]
        if wanted:
            self.ask(
                "receive",
                body=_in_blocks(pack(source.objects, wanted)),
                size=packed_size(wanted),
                seconds=_LONG,
            )
        return set(lacking)

    def _line(self, seconds: float) -> bytes:
        line, newline, rest = self._rest.partition(b"\n")
        while not newline:
            data = self._channel.receive(_BLOCK, timeout=seconds)
            if not data:
                raise EOFError("it hung up")
            if len(line) > _LONGEST_ANSWER:
                raise ValueError("it said too much")
            more, newline, rest = data.partition(b"\n")
            line += more
        self._rest = rest
        return line


def _in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth sending, however small they come."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)
