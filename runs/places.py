"""How full the compute targets are, for who is about to submit a run."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Q

from computes.models import ComputeTarget
from runs.models import Run
from runs.priority import Priority
from runs.status import RunStatus
from runs.waiting import Estimate, estimates


@dataclass(frozen=True, kw_only=True)
class Places:
    """A target with its free places; without one, those who would be ahead, and when
    a new run would probably begin.
    """

    target: ComputeTarget
    free: int
    ahead: int
    estimate: Estimate | None


def places(priority: Priority = Priority.NORMAL) -> list[Places]:
    """What a new run of this priority would find."""
    counts = Counter[tuple[int, bool]]()
    waiting = Q(status=RunStatus.QUEUED)
    counted = Run.objects.active().exclude(waiting & Q(priority__lt=priority))
    for target, status, count in (
        counted.order_by().values_list("target", "status").annotate(Count("id"))
    ):
        counts[target, status == RunStatus.QUEUED] += count
    return [
        _places(target, counts[target.pk, False], counts[target.pk, True])
        for target in ComputeTarget.objects.usable()
    ]


def _places(target: ComputeTarget, at_work: int, ahead: int) -> Places:
    free = max(target.max_runs - at_work, 0)
    estimate = None if free else estimates(target, ahead + 1)[-1]
    return Places(target=target, free=free, ahead=ahead, estimate=estimate)
