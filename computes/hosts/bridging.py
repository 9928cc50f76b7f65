"""Sockets of a host that is elsewhere, as sockets of this process."""

import errno
import json
import os
import socket
import threading
from contextlib import suppress

from computes.hosts.base import TargetAwayError
from computes.hosts.questions import Channel

_BLOCK = 256 * 1024
_SECONDS = 30.0
_LONGEST_ANSWER = 4096


def join(channel: Channel, path: str, name: str) -> socket.socket:
    """A socket that is connected to `path` by the bridge at the far end of `channel`.

    See computes/runner/bridge.py. Raises the OSError that the host had with the socket,
    TargetAwayError where the host says nothing.
    """
    try:
        channel.send(path.encode() + b"\n")
        said = json.loads(_line(channel))
        is_open = "errno" not in said
    except (OSError, TypeError, ValueError) as error:
        channel.close()
        raise TargetAwayError(f"{name} did not answer ({error}).") from error
    if not is_open:
        channel.close()
        raise OSError(said["errno"], said["error"])
    here, there = socket.socketpair()
    for copy in (_copy_there, _copy_back):
        threading.Thread(target=copy, args=[there, channel], daemon=True).start()
    return here


def open_socket(path: str) -> socket.socket:
    """The same for a socket of this machine. Raises OSError."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Of a path that is too long Python itself says so, without a number.
        opened.connect(path)
    except OSError as error:
        opened.close()
        if error.errno is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
        raise
    return opened


def _line(channel: Channel) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        # What follows the line are bytes of the connection.
        data = channel.receive(1, timeout=_SECONDS)
        if not data or len(line) > _LONGEST_ANSWER:
            raise ValueError("it hung up")
        line += data
    return line


def _copy_there(there: socket.socket, channel: Channel) -> None:
    with suppress(OSError):
        while data := there.recv(_BLOCK):
            channel.send(data)
    channel.close()


def _copy_back(there: socket.socket, channel: Channel) -> None:
    with suppress(OSError):
        while True:
            try:
                data = channel.receive(_BLOCK, timeout=_SECONDS)
            except TimeoutError:
                continue
            if not data:
                break
            there.sendall(data)
    # Not only closed, or the other thread would still wait for something of it.
    with suppress(OSError):
        there.shutdown(socket.SHUT_RDWR)
    there.close()
