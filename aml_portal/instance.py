"""The portal that runs on a data folder: one at most, and it has an address."""

import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from aml_portal.errors import PortalError

_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared only
# How long processes of a killed `serve` may take to leave the address.
_PATIENCE = 10.0


class Instance:
    """The claim of one `serve` on a data folder, for as long as its process lives."""

    def __init__(self, data: Path) -> None:
        self.state_file = data / "serve.json"
        self._lock_file = data / "serve.lock"
        self.lock = -1
        self.follows_a_crash = False

    def claim(self) -> None:
        """Become the one portal of the data folder."""
        self.lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = self.state().get("address", "an address that it is about to print")
            raise PortalError(
                f"The portal already runs on this data folder at {where}",
                f"(the folder is {self._lock_file.parent}; AML_PORTAL_DATA names it).",
            ) from None
        self.follows_a_crash = self.state_file.exists()
        self.state_file.unlink(missing_ok=True)

    def state(self) -> dict[str, Any]:
        """What the running portal says of itself; empty if none has come so far."""
        try:
            state: dict[str, Any] = json.loads(self.state_file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return state

    def listen(self, host: str, port: int) -> socket.socket:
        """Open the portal's address."""
        deadline = time.monotonic() + (_PATIENCE if self.follows_a_crash else 0)
        while True:
            try:
                return _listen(host, port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    raise _explain(error, host, port) from error
                time.sleep(0.1)


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port = reachable(listener)
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def reachable(listener: socket.socket) -> tuple[str, int]:
    host, port = listener.getsockname()[:2]
    return _UNSPECIFIED.get(host, host), port


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _explain(error: OSError, host: str, port: int) -> PortalError:
    match error.errno:
        case errno.EADDRINUSE:
            return PortalError(
                f"Port {port} of {host} is in use by another program.",
                "Stop that program, or choose another port with AML_PORTAL_PORT.",
            )
        case errno.EACCES:
            return PortalError(
                f"This user may not open port {port}.",
                "Choose one above 1023 with AML_PORTAL_PORT.",
            )
    return PortalError(
        f"The portal can't listen on {host}, port {port}: {error.strerror}.",
        "AML_PORTAL_HOST must be an address of this machine.",
    )
