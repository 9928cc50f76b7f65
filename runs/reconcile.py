"""Finds what was lost between the database and RQ, and asks for it again.

The database is the truth. A submission may vanish from RQ in many ways, with its
worker, its broker, or the process that was about to enqueue it; all look the same
from here: a run that should be started and that nobody is starting.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.utils import timezone
from rq import Queue

from aml_portal.queues import imports_queue, runs_queue
from computes.models import ComputeTarget
from runs import leases
from runs.dispatch import (
    clean_job,
    dispatch,
    enqueue_clean,
    enqueue_start,
    start_job,
)
from runs.execution import submission_lease
from runs.git_imports import enqueue_import, import_job, import_lease
from runs.models import GitImport, Run
from runs.status import TERMINAL, RunStatus

# Seconds for which work must have been missing, so that what is merely between two
# places is left alone.
_PATIENCE = 2.0
_CLEAN_AGAIN = 60.0
# Of what can be done later, so much is asked for at each look.
_CLEANED_AT_ONCE = 100


@dataclass(frozen=True)
class _Work:
    """An RQ job that there should be, and how to ask for it."""

    job: str
    enqueue: Callable[[], None]


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
        to_start, to_clean, to_import = _to_start(), _to_clean(), _to_import()
        missing = [
            *_not_queued(runs_queue(), [*to_start, *to_clean]),
            *_not_queued(imports_queue(), to_import),
        ]
        now = time.monotonic()
        self._missing_since = {
            job: self._missing_since.get(job, now) for job in missing
        }
        for work in self._due([*to_start, *to_import], _PATIENCE):
            work.enqueue()
        for work in self._due(to_clean, _CLEAN_AGAIN)[:_CLEANED_AT_ONCE]:
            work.enqueue()
            # Behind all others, should its target be away for long.
            del self._missing_since[work.job]

    def _due(self, works: list[_Work], patience: float) -> list[_Work]:
        """What has been missing for so many seconds, the longest first."""
        since = self._missing_since
        latest = time.monotonic() - patience
        missing = [work for work in works if work.job in since]
        due = [work for work in missing if since[work.job] <= latest]
        return sorted(due, key=lambda work: since[work.job])


def _to_start() -> list[_Work]:
    """Runs that should be started, and that nobody is starting."""
    starting = Run.objects.filter(
        status__in=(RunStatus.PREPARING, RunStatus.STARTING), handle__isnull=True
    )
    runs = starting.exclude(target__leave_alone_until__gt=timezone.now())
    held = leases.held(submission_lease(run.pk) for run in runs)
    return [
        _Work(start_job(run), partial(enqueue_start, run))
        for run in runs
        if submission_lease(run.pk) not in held
    ]


def _to_clean() -> list[_Work]:
    ended = Run.objects.filter(status__in=TERMINAL, cleaned_at=None).only("pk")
    # Else what it did since nobody looked would go with its folder.
    ended = ended.exclude(is_left_there=True)
    runs = ended.exclude(target__leave_alone_until__gt=timezone.now())
    return [
        _Work(clean_job(run), partial(enqueue_clean, run)) for run in runs.order_by()
    ]


def _to_import() -> list[_Work]:
    """Repositories that should be fetched, and that nobody is fetching."""
    imports = GitImport.objects.unfinished().only("pk", "attempts")
    held = leases.held(import_lease(each.pk) for each in imports)
    return [
        _Work(import_job(each), partial(enqueue_import, each))
        for each in imports
        if import_lease(each.pk) not in held
    ]


def _not_queued(queue: Queue, works: list[_Work]) -> list[str]:
    if not works:
        return []
    queued = set(queue.job_ids)
    return [work.job for work in works if work.job not in queued]
