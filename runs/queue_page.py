"""What the queue of a compute target shows: who is at work, and who waits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from computes.gpus import Gpu
from computes.models import ComputeTarget
from runs.access import may_change
from runs.gpus import holding
from runs.models import Run
from runs.priority import Priority
from runs.waiting import Estimate, estimates

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Of a longer queue, the page has the beginning.
_MOST_WAITING = 100


@dataclass(frozen=True, kw_only=True)
class Place:
    """One that waits: its number in the queue, and what the person may do there."""

    run: Run
    number: int
    estimate: Estimate
    is_first: bool
    is_last: bool
    may_bring_forward: bool
    may_put_back: bool
    priorities: list[Priority]


@dataclass(frozen=True, kw_only=True)
class Device:
    """A GPU, and the run that has it."""

    gpu: Gpu
    run: Run | None

    @property
    def is_free(self) -> bool:
        return self.run is None and not self.gpu.is_used


def queue_context(user: "User", target: ComputeTarget) -> dict[str, Any]:
    runs = Run.objects.select_related("experiment", "owner").filter(target=target)
    waiting = list(runs.queued()[:_MOST_WAITING])
    count = len(waiting)
    if count == _MOST_WAITING:
        count = runs.queued().count()
    expected = estimates(target, [run.gpus for run in waiting])
    return {
        "target": target,
        "machine": target.its_machine,
        "devices": _devices(target),
        "at_work": runs.placed().order_by("id"),
        "waiting": [
            _place(user, run, number, estimate, is_last=number == count)
            for number, (run, estimate) in enumerate(
                zip(waiting, expected, strict=True), start=1
            )
        ],
        "not_shown": count - len(waiting),
        "waiting_count": count,
    }


def _devices(target: ComputeTarget) -> list[Device]:
    if not target.its_kind.picks_gpus:
        return []
    runs = holding(target.its_machine).select_related("experiment", "owner")
    by_index = {index: run for run in runs for index in run.gpu_indexes}
    return [Device(gpu=gpu, run=by_index.get(gpu.index)) for gpu in target.gpus]


def _place(
    user: "User", run: Run, number: int, estimate: Estimate, *, is_last: bool
) -> Place:
    may = may_change(user, run)
    return Place(
        run=run,
        number=number,
        estimate=estimate,
        is_first=number == 1,
        is_last=is_last,
        may_bring_forward=user.is_staff,
        may_put_back=may,
        priorities=[
            priority
            for priority in reversed(Priority)
            if may and priority != run.priority
            if user.is_staff or priority < run.priority
        ],
    )
