"""Sends bytes without having who gives them wait."""

import queue
import threading
from collections.abc import Callable


class Sender:
    """A thread that sends what it is given, in order.

    While a runner waits for its output to be read, it reads no commands, and who
    writes them must not wait for that. Whether the far end is gone is found out by
    whoever reads.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        self._waiting.put(data)

    def close(self) -> None:
        self._waiting.put(None)

    def _work(self) -> None:
        while data := self._waiting.get():
            try:
                self._send(data)
            except OSError:
                return
