"""Asks compute targets while somebody waits for a page."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from computes.hosts import TargetAwayError
from computes.models import ComputeTarget

# What a host or a launcher may take itself is for workers, which nobody waits for.
_SECONDS = 10.0
_Answer = TypeVar("_Answer")


def answer_soon(target: ComputeTarget, ask: Callable[[], _Answer]) -> _Answer:
    """What `ask`, which does not use the database, is answered by the target.

    Raises TargetAwayError if that takes long; `ask` then goes on by itself, until a
    limit of its own ends it.
    """
    answer: Future[_Answer] = Future()

    def carry_out() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    if not wait([answer], _SECONDS).done:
        raise TargetAwayError(
            f"{target} has not answered within {_SECONDS:g} seconds.",
            "Try again later.",
        )
    return answer.result()
