"""Gives the places of a compute target to the runs that wait for one, in order."""

from django.db import transaction
from django.db.models import F

from aml_portal.queues import enqueue, imports_queue, job_name, runs_queue
from computes.models import ComputeTarget
from runs.models import Run
from runs.status import RunStatus

_A_DAY = 24 * 60 * 60


def dispatch(target: ComputeTarget) -> int:
    """Move the next runs of `target` into its free places; how many were moved.

    Called whenever a place may have become free or a run has come; any number of
    processes may call it at once.
    """
    with transaction.atomic():
        # The row lock keeps two dispatchers from giving one place away twice.
        max_runs = ComputeTarget.objects.select_for_update().get(pk=target.pk).max_runs
        free = max_runs - Run.objects.placed().filter(target=target).count()
        waiting = Run.objects.queued().filter(target=target)[: max(free, 0)]
        moved = [run for run in waiting if run.move(RunStatus.PREPARING)]
        for run in moved:
            enqueue_start(run)
    return len(moved)


def enqueue_start(run: Run) -> None:
    """Put the submission of `run` into RQ's queue once the transaction is through.

    Each time under a new id, since RQ may hold the last one for lost yet. If the
    broker is away, the reconciler comes back to the run.
    """
    Run.objects.filter(pk=run.pk).update(attempts=F("attempts") + 1)
    run.refresh_from_db(fields=["attempts"])
    transaction.on_commit(lambda: _enqueue("runs.tasks.start_run", run, start_job(run)))


def enqueue_clean(run: Run) -> None:
    """Have the job's folder removed from the target."""
    transaction.on_commit(lambda: _enqueue("runs.tasks.clean_run", run, clean_job(run)))


def enqueue_daily_sweep() -> None:
    """Have the snapshots swept once a day, however many ask how often.

    Should the broker forget, they are swept once more; should a sweep fail, that of the
    next day makes up for it. Raises RedisError.
    """
    queue, job = imports_queue(), job_name("sweep")
    if queue.connection.set(f"{job}-done", 1, nx=True, ex=_A_DAY):
        # Not where runs would wait for it.
        enqueue(queue, "runs.tasks.sweep_snapshots", job)


def start_job(run: Run) -> str:
    """The id of the RQ job that starts `run`."""
    return job_name("run", run.pk, "start", run.attempts)


def clean_job(run: Run) -> str:
    """The id of the RQ job that cleans up after `run`."""
    return job_name("run", run.pk, "clean")


def _enqueue(function: str, run: Run, job_id: str) -> None:
    enqueue(runs_queue(), function, job_id, run.pk)
