"""What a run that waits is told: why, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from computes.models import ComputeTarget
from runs.estimate import FARTHEST, FEWEST, AtWork, Span, start_spans
from runs.gpus import Pool, why_no_gpus
from runs.models import Run
from runs.status import RunStatus

# So many of the last runs of a target are its history.
_HISTORY = 50
_CLOSE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Between which times a run probably begins, or why nobody can tell."""

    runs: int
    early: datetime | None = None
    late: datetime | None = None
    is_soon: bool = False
    why_not: str = ""

    @property
    def is_about(self) -> bool:
        """Whether it is one time rather than two."""
        return (
            self.early is None or self.late is None or self.late - self.early < _CLOSE
        )


def why_waiting(run: Run) -> str:
    """Why the run has not begun, in sentences; empty once it has its place."""
    if run.status != RunStatus.QUEUED:
        return ""
    placed = Run.objects.placed().filter(target=run.target).count()
    ahead = Run.objects.ahead_of(run).count()
    places = (
        f"{run.target} runs {run.target.max_runs} at a time and has {placed} now;"
        f" {_place(ahead)}."
    )
    return f"{places} {why_no_gpus(run)}".strip()


def estimate_of(run: Run) -> Estimate | None:
    """When it probably begins; None once it has its place."""
    if run.status != RunStatus.QUEUED:
        return None
    ahead = Run.objects.ahead_of(run).values_list("gpus", flat=True)[:FARTHEST]
    return estimates(run.target, [*ahead, run.gpus])[-1]


def estimates(target: ComputeTarget, waiting: Sequence[int]) -> list[Estimate]:
    """When each of those who wait begins, who ask for so many GPUs each, in the order
    of the queue; some may not be there yet.
    """
    now = timezone.now()
    history = _history(target)
    machine, picks = target.its_machine, target.its_kind.picks_gpus
    at_work = (
        Run.objects.placed()
        .on_machine(machine)
        .only("target", "started_at", "gpu_indexes")
    )
    pool = Pool.of(machine)
    held = [gpu for gpu in pool.gpus if gpu.index in pool.held]
    spans = start_spans(
        history=history,
        at_work=[
            AtWork(
                elapsed=_elapsed(run, now),
                gpus=len(run.gpu_indexes),
                has_place=run.target_id == target.pk,
            )
            for run in at_work
        ],
        waiting=waiting if picks else [0] * len(waiting),
        places=target.max_runs,
        # How long others use theirs, nobody can tell.
        gpus=len(pool.usable) + len(held),
    )
    return [
        _told(span, now, ahead=ahead, runs=len(history))
        for ahead, span in enumerate(spans)
    ]


def _history(target: ComputeTarget) -> list[float]:
    """How many seconds the last runs of a target took, whatever their end."""
    ended = Run.objects.filter(target=target, ended_at__isnull=False)
    took = ended.exclude(duration=None).order_by("-ended_at")
    return [each or 0.0 for each in took.values_list("duration", flat=True)[:_HISTORY]]


def _elapsed(run: Run, now: datetime) -> float:
    begun = run.started_at or now
    return max((now - begun).total_seconds(), 0.0)


def _told(span: Span | None, now: datetime, *, ahead: int, runs: int) -> Estimate:
    if runs < FEWEST:
        return Estimate(runs=runs, why_not="too few runs have ended here")
    if ahead >= FARTHEST:
        return Estimate(runs=runs, why_not="too many runs are ahead of it")
    if span is None:
        return Estimate(
            runs=runs,
            why_not="nobody can tell when what it waits for is free",
        )
    return Estimate(
        early=now + timedelta(seconds=span.early),
        late=now + timedelta(seconds=span.late),
        is_soon=span.late < _CLOSE.total_seconds(),
        runs=runs,
    )


def _place(ahead: int) -> str:
    if ahead == 0:
        return "this run is the next"
    return "1 run is ahead of it" if ahead == 1 else f"{ahead} runs are ahead of it"
