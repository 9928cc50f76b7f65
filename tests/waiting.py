"""Wait for what other processes do, by looking again and again until a deadline."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def eventually(look: Callable[[], _Result], what: str, timeout: float = 30) -> _Result:
    """The first true result of `look`; a failure that says `what` never came true."""
    deadline = time.monotonic() + timeout
    while True:
        result = look()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {timeout:g} s: {what}")
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
