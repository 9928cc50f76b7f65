"""Finds what was lost between the database and RQ, and asks for it again.

The database is the truth. A submission may vanish from RQ in many ways, with its
worker, its broker, or the process that was about to enqueue it; all look the same
from here: a run that should be started and that nobody is starting.
"""

import time
from collections.abc import Callable

import django_rq

from computes.models import ComputeTarget
from runs.dispatch import dispatch, enqueue_clean, enqueue_start
from runs.execution import submission_lease
from runs.leases import is_held
from runs.models import Run
from runs.status import TERMINAL, RunStatus

# Seconds for which work must have been missing, so that what is merely between two
# places is left alone.
_PATIENCE = 2.0
_CLEAN_AGAIN = 60.0


class Reconciler:
    """Remembers since when each piece of work has been missing."""

    def __init__(self) -> None:
        self._missing_since: dict[str, float] = {}

    def reconcile(self) -> None:
        """Look once; cheap where nothing is wrong. Raises RedisError."""
        for target in ComputeTarget.objects.filter(
            runs__status=RunStatus.QUEUED
        ).distinct():
            dispatch(target)
        starting = Run.objects.filter(
            status__in=(RunStatus.PREPARING, RunStatus.STARTING), handle__isnull=True
        )
        to_clean = Run.objects.filter(status__in=TERMINAL, cleaned_at=None)
        work: dict[str, tuple[float, Callable[[], None]]] = {}
        for run in starting:
            if not is_held(submission_lease(run.pk)):
                job = f"run-{run.pk}-submit-{run.attempts}"
                work[job] = (_PATIENCE, lambda run=run: enqueue_start(run))  # type: ignore[misc]
        for run in to_clean[:100]:
            work[f"run-{run.pk}-clean"] = (
                _CLEAN_AGAIN,
                lambda run=run: enqueue_clean(run),  # type: ignore[misc]
            )
        self._ask_again(work)

    def _ask_again(self, work: dict[str, tuple[float, Callable[[], None]]]) -> None:
        """Enqueue what RQ's queue has lacked for longer than its patience."""
        queued = set(django_rq.get_queue("runs").job_ids) if work else set()
        now = time.monotonic()
        missing = {job: each for job, each in work.items() if job not in queued}
        self._missing_since = {
            job: self._missing_since.get(job, now) for job in missing
        }
        for job, (patience, enqueue) in missing.items():
            if now - self._missing_since[job] >= patience:
                del self._missing_since[job]
                enqueue()
