"""How full the compute targets are, for who is about to submit a run."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from django.db.models import Count

from computes.models import ComputeTarget
from runs.gpus import Pool
from runs.models import Run
from runs.priority import Priority
from runs.waiting import Estimate, estimates


@dataclass(frozen=True, kw_only=True)
class Places:
    """A target with its free places; without one, those who would be ahead, and when
    a new run would probably begin.

    `gpus` are those that runs may use, None where the portal does not pick them.
    """

    target: ComputeTarget
    free: int
    ahead: int
    gpus: int | None
    free_gpus: int
    estimate: Estimate | None

    @property
    def may_have_gpus(self) -> bool:
        return self.gpus is None or self.gpus > 0


def places(priority: Priority = Priority.NORMAL, gpus: int = 0) -> list[Places]:
    """What a new run that asks for so many GPUs would find."""
    placed = Run.objects.placed().order_by().values_list("target")
    at_work = Counter(dict(placed.annotate(Count("id"))))
    ahead = defaultdict[int, list[int]](list)
    queue = Run.objects.queued().filter(priority__gte=priority)
    for target, wanted in queue.values_list("target", "gpus"):
        ahead[target].append(wanted)
    return [
        _places(target, at_work[target.pk], ahead[target.pk], gpus)
        for target in ComputeTarget.objects.usable().select_related("machine")
    ]


def _places(
    target: ComputeTarget, at_work: int, ahead: list[int], wanted: int
) -> Places:
    picks = target.its_kind.picks_gpus
    pool = Pool.of(target.its_machine) if picks and target.gpus else None
    free = max(target.max_runs - at_work, 0)
    free_gpus = len(pool.usable) if pool else 0
    begins_now = free and (not picks or wanted <= free_gpus)
    return Places(
        target=target,
        free=free,
        ahead=len(ahead),
        gpus=len(target.gpus) if picks else None,
        free_gpus=free_gpus,
        estimate=None if begins_now else estimates(target, [*ahead, wanted])[-1],
    )
