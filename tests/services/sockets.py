"""The live sockets of a portal, as a page uses them."""

import json
import re
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.services.portal import Portal

Frame = tuple[int, bytes]


class LiveSocket:
    """A socket of a signed-in person, or of a stranger if there is no `client`.

    It is open for the length of a `with` block.
    """

    def __init__(
        self, portal: Portal, client: httpx.Client | None, path: str, origin: str = ""
    ) -> None:
        cookies = dict(client.cookies) if client else {}
        self._connecting = connect(
            re.sub("^http", "ws", portal.url) + path,
            additional_headers={
                "Cookie": "; ".join(f"{name}={cookies[name]}" for name in cookies)
            },
            origin=Origin(origin or portal.url),
            proxy=None,
            max_size=None,
        )

    def send(self, **message: Any) -> None:
        self.send_raw(json.dumps(message))

    def send_raw(self, message: str | bytes) -> None:
        self._socket.send(message)

    def receive(self, timeout: float = 30) -> dict[str, Any] | Frame:
        """The next message, or the next bytes of the log with their offset."""
        data = self._socket.recv(timeout)
        if isinstance(data, bytes):
            return int.from_bytes(data[:8], "big"), data[8:]
        message: dict[str, Any] = json.loads(data)
        return message

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; everything before it is passed over."""
        while True:
            message = self.receive()
            if isinstance(message, dict) and message.get("type") == kind:
                return message

    def wait_for_bytes(self) -> Frame:
        while True:
            message = self.receive()
            if isinstance(message, tuple):
                return message

    def read_log(self, start: int, *, until: int | None = None) -> bytes:
        """The log from `start` up to its end, or to `until` bytes of it at least."""
        self.send(type="follow", **{"from": start})
        assert self.wait_for("log")["from"] == start
        log = bytearray()
        while until is None or len(log) < until:
            message = self.receive()
            if isinstance(message, tuple):
                offset, data = message
                assert offset == start + len(log), "a gap, or bytes that came twice"
                log += data
                self.send(type="ack", offset=start + len(log))
            elif message["type"] == "end":
                assert message["size"] == start + len(log)
                break
        return bytes(log)

    def close_code(self) -> int | None:
        """Wait until the server has hung up; the code that it gave."""
        try:
            while True:
                self._socket.recv(30)
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else None

    def __enter__(self) -> Self:
        self._socket = self._connecting.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connecting.__exit__(kind, error, trace)
