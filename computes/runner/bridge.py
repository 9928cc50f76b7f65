"""Joins its standard input and output to a Unix socket of this machine.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
The first line that is read is the path of the socket; the first one that is answered
says in JSON whether it could be opened. All that follows are bytes of the connection.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading

_BLOCK = 1 << 18
_LONGEST_PATH = 4096


def main() -> int:
    far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        far.connect(_line())
    except OSError as error:
        # A path that is too long has no number.
        _say({"errno": error.errno or 22, "error": error.strerror or str(error)})
        return 1
    _say({"connected": True})
    # One for each way: while one is full, the other has to go on.
    threading.Thread(target=_copy_back, args=[far], daemon=True).start()
    with contextlib.suppress(OSError):
        for data in iter(lambda: os.read(0, _BLOCK), b""):
            far.sendall(data)
    return 0


def _line() -> str:
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_PATH:
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return os.fsdecode(line.rstrip(b"\n"))


def _say(answer: object) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def _copy_back(far: socket.socket) -> None:
    """Until the far end hangs up, which ends all of it."""
    with contextlib.suppress(OSError):
        for data in iter(lambda: far.recv(_BLOCK), b""):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
    os._exit(0)
