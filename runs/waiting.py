"""What a run that waits is told: why, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from computes.models import ComputeTarget
from runs.estimate import FEWEST, AtWork, Span, start_spans
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
    """Why the run has not begun, in a sentence; empty once it has its place."""
    if run.status != RunStatus.QUEUED:
        return ""
    placed = Run.objects.placed().filter(target=run.target).count()
    ahead = Run.objects.ahead_of(run).count()
    return (
        f"{run.target} runs {run.target.max_runs} at a time and has {placed} now;"
        f" {_place(ahead)}."
    )


def estimate_of(run: Run) -> Estimate | None:
    """When it probably begins; None once it has its place."""
    if run.status != RunStatus.QUEUED:
        return None
    return estimates(run.target, Run.objects.ahead_of(run).count() + 1)[-1]


def estimates(target: ComputeTarget, count: int) -> list[Estimate]:
    """When each of the first `count` that wait begins, whether there are so many yet
    or not.
    """
    now = timezone.now()
    history = _history(target)
    placed = Run.objects.placed().filter(target=target)
    spans = start_spans(
        history=history,
        at_work=[AtWork(elapsed=_elapsed(run, now)) for run in placed],
        waiting=[0] * count,
        places=target.max_runs,
    )
    return [_told(span, now, len(history)) for span in spans]


def _history(target: ComputeTarget) -> list[float]:
    """How many seconds the last runs of a target took, whatever their end."""
    ended = Run.objects.filter(target=target, ended_at__isnull=False)
    took = ended.exclude(duration=None).order_by("-ended_at")
    return [each for each in took.values_list("duration", flat=True)[:_HISTORY] if each]


def _elapsed(run: Run, now: datetime) -> float:
    begun = run.started_at or now
    return max((now - begun).total_seconds(), 0.0)


def _told(span: Span | None, now: datetime, runs: int) -> Estimate:
    if runs < FEWEST:
        return Estimate(runs=runs, why_not="too few runs have ended here")
    if span is None:
        return Estimate(
            runs=runs,
            why_not="what is at work has taken longer than the runs before it",
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
