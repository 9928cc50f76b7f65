"""Sends bytes without having who gives them wait."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress


class Sender:
    """A thread that sends what it is given, in order, and closes when all is sent.

    While a runner waits for its output to be read, it reads no commands, and who
    writes them must not wait for that. When nothing can be sent any more, it closes as
    well: whoever reads finds out then that the far end is gone.
    """

    def __init__(
        self, send: Callable[[bytes], None], close: Callable[[], None]
    ) -> None:
        self._send = send
        self._close = close
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def write(self, data: bytes) -> None:
        self._waiting.put(data)

    def close(self) -> None:
        """Send no more than what was given so far."""
        self._waiting.put(None)

    def _work(self) -> None:
        try:
            with suppress(OSError):
                while data := self._waiting.get():
                    self._send(data)
        finally:
            self._close()
