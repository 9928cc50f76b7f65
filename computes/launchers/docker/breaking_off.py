"""Ends what an engine takes long for as soon as that is not to go on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from computes.hosts import TargetAwayError

# Seconds from one look to the next; a pull or a step of a build may be silent for long.
_BEAT = 1.0


@contextmanager
def broken_off_if(
    check: Callable[[], None], break_off: Callable[[], None]
) -> Iterator[None]:
    """Through the block, a thread calls `check` again and again.

    What that raises has the thread break the connection off, upon which the engine ends
    what it does for it, and is raised here.
    """
    done, found = threading.Event(), list[Exception]()

    def watch() -> None:
        while not done.wait(_BEAT):
            try:
                check()
            except TargetAwayError:
                # It can't be told now.
                continue
            except Exception as error:
                found.append(error)
                break_off()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except Exception:
        if found:
            raise found[0] from None
        raise
    finally:
        done.set()
        thread.join()
    if found:
        raise found[0]
