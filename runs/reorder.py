"""Changes the order in which the runs of a target get their places.

Nobody but an administrator brings a run forward; its owner may put it back. Whoever
changes the queue holds its target's row, as `dispatch` does, so that two changes follow
one another.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db import transaction

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from runs.models import Run
from runs.notices import announce_queue
from runs.priority import Priority

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Way(StrEnum):
    FIRST = "first"
    UP = "up"
    DOWN = "down"
    LAST = "last"


def move_in_queue(run: Run, way: Way, *, by: "User") -> int:
    """Move a run that waits; the number of its place then. Raises UserError."""

    def place(now: int, others: list[Run]) -> int:
        match way:
            case Way.FIRST:
                return 0
            case Way.UP:
                return max(now - 1, 0)
            case Way.DOWN:
                return min(now + 1, len(others))
        return len(others)

    return _move(run, place, by=by)


def put_before(run: Run, other: Run, *, by: "User") -> int:
    """Move a run that waits to the place before `other`. Raises UserError."""

    def place(_: int, others: list[Run]) -> int:
        if other not in others:
            raise _not_waiting()
        return others.index(other)

    return _move(run, place, by=by)


def set_priority(run: Run, priority: Priority, *, by: "User") -> int:
    """Its turn is that of its submission, among those of the same priority."""
    with transaction.atomic():
        queue = _locked_queue(run)
        now = queue[queue.index(run)]
        if priority > now.priority:
            _check_may_bring_forward(by)
        Run.objects.filter(pk=run.pk).update(priority=priority)
        run.priority = priority
        run.note(f"{by.get_username()} gave it the priority {priority.label.lower()}.")
        place = Run.objects.ahead_of(run).count() + 1
        transaction.on_commit(lambda: announce_queue(run.target_id))
    return place


def _move(run: Run, place_of: Callable[[int, list[Run]], int], *, by: "User") -> int:
    with transaction.atomic():
        queue = _locked_queue(run)
        now = queue.index(run)
        run, others = queue[now], queue[:now] + queue[now + 1 :]
        place = place_of(now, others)
        if place < now:
            _check_may_bring_forward(by)
        if place != now:
            _put(run, others, place)
            run.note(
                f"{by.get_username()} moved it in the queue, from place {now + 1} to"
                f" {place + 1}."
            )
            transaction.on_commit(lambda: announce_queue(run.target_id))
    return place + 1


def _put(run: Run, others: list[Run], place: int) -> None:
    """Give the run the priority that its neighbours allow, and its turn among them."""
    before, after = others[:place], others[place:]
    if before:
        run.priority = min(run.priority, before[-1].priority)
    if after:
        run.priority = max(run.priority, after[0].priority)
    same = [each for each in (*before, run, *after) if each.priority == run.priority]
    turns = sorted(each.turn for each in same)
    for each, turn in zip(same, turns, strict=True):
        each.turn = turn
    Run.objects.bulk_update(same, ["priority", "turn"])


def _locked_queue(run: Run) -> list[Run]:
    """The queue that the run waits in; raises UserError if it does not."""
    ComputeTarget.objects.select_for_update().get(pk=run.target_id)
    queue = list(Run.objects.queued().filter(target=run.target_id))
    if run not in queue:
        raise _not_waiting()
    return queue


def _not_waiting() -> UserError:
    return UserError("The run does not wait any more.", "Look at the queue again.")


def _check_may_bring_forward(user: "User") -> None:
    if not user.is_staff:
        raise PermissionDenied("Only an administrator brings a run forward.")
