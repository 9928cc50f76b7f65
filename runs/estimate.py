"""Tells when those who wait on a compute target will probably get their places.

Knows nothing but how long the last runs took: it plays the queue through many times,
each run as long as one of those, and says where the middle of the outcomes lies.
"""

import random
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

# Of fewer runs nothing can be told.
FEWEST = 5
# Nobody is told who has so many ahead: what it takes to play them through grows with
# each, and a page waits for it.
FARTHEST = 1000
_ROUNDS = 50
# Four of five outcomes lie between these.
_EARLY, _LATE = _ROUNDS // 10, _ROUNDS - 1 - _ROUNDS // 10


class Span(NamedTuple):
    """Seconds from now, between which something probably happens."""

    early: float
    late: float


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """A run that has its place: for how many seconds, and with how many GPUs.

    One of another target on the same machine has no place here, and GPUs alone.
    """

    elapsed: float
    gpus: int = 0
    has_place: bool = True


def start_spans(
    *,
    history: Sequence[float],
    at_work: Sequence[AtWork],
    waiting: Sequence[int],
    places: int,
    gpus: int = 0,
) -> list[Span | None]:
    """When each of those who wait begins; None where it can't be told.

    `history` has the seconds that the last runs took, `waiting` how many GPUs each run
    asks for, in the order of the queue. A run that has taken longer than all before it
    is not expected to end. Who has FARTHEST others ahead is not told.
    """
    if len(history) < FEWEST:
        return [None for _ in waiting]
    near = waiting[:FARTHEST]
    took = sorted(history)
    rounds = []
    for number in range(_ROUNDS):
        # The same chances for the same place each time: a longer queue changes nothing
        # for those who are ahead, and an estimate does not jump.
        chance = random.Random(number)  # noqa: S311
        ends = [(_rest(took, each.elapsed, chance), each) for each in at_work]
        free = _freed([end for end, each in ends if each.has_place], places)
        devices = _freed([end for end, each in ends for _ in range(each.gpus)], gpus)
        rounds.append(_starts(free, devices, near, took, chance))
    spans = [_span(sorted(starts)) for starts in zip(*rounds, strict=True)]
    return spans + [None for _ in waiting[FARTHEST:]]


def _freed(ends: list[float], count: int) -> list[float]:
    """When each of `count` is free, which have these ends; with more ends than there
    are, the first of them free none.
    """
    busy = sorted(ends)
    return [0.0] * (count - len(busy)) + busy[max(len(busy) - count, 0) :]


def _starts(
    free: list[float],
    devices: list[float],
    waiting: Sequence[int],
    took: list[float],
    chance: random.Random,
) -> list[float]:
    """When those who wait would begin, if the places and GPUs were free so."""
    starts, last = [], 0.0
    for wanted in waiting:
        begin = free[0]
        if wanted:
            # Nobody who asks for GPUs passes another who does.
            last = begin = max(begin, last, _free_from(devices, wanted))
        starts.append(begin)
        if begin == inf:
            continue
        end = begin + _drawn(took, chance)
        # The place that was free last: a run that has to wait for GPUs keeps none from
        # those who need none.
        del free[bisect_right(free, begin) - 1]
        insort(free, end)
        del devices[:wanted]
        for _ in range(wanted):
            insort(devices, end)
    return starts


def _free_from(devices: list[float], wanted: int) -> float:
    return devices[wanted - 1] if wanted <= len(devices) else inf


def _drawn(took: list[float], chance: random.Random) -> float:
    return took[int(chance.random() * len(took))]


def _rest(took: list[float], elapsed: float, chance: random.Random) -> float:
    """How much longer one takes that has taken so long: as some that took longer."""
    longer = took[bisect_right(took, elapsed) :]
    drawn = chance.random()
    return longer[int(drawn * len(longer))] - elapsed if longer else inf


def _span(starts: list[float]) -> Span | None:
    early, late = starts[_EARLY], starts[_LATE]
    return None if late == inf else Span(early, late)
