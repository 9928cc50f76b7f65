"""Work that waits for others most of its time, beside what a worker does meanwhile."""

import threading
from collections.abc import Callable

from django.db import connection


def carry_out(work: Callable[[int], object], key: int) -> None:
    """Have `work(key)` done by a thread, which goes with this process.

    So `work` has to be such that somebody notices, and has it done again.
    """

    def do() -> None:
        try:
            work(key)
        finally:
            connection.close()

    threading.Thread(target=do, name=f"{work.__name__}-{key}", daemon=True).start()
