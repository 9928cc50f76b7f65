"""Gives the places of a compute target, and GPUs, to the runs that wait, in order."""

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from aml_portal.queues import enqueue, imports_queue, job_name, runs_queue
from computes.models import ComputeTarget
from runs.gpus import FRESH, Pool
from runs.models import Run, RunQuerySet
from runs.status import RunStatus

_A_DAY = 24 * 60 * 60


def dispatch(target: ComputeTarget) -> int:
    """Move the next runs of `target` into its free places; how many were moved.

    Called whenever a place may have become free or a run has come; any number of
    processes may call it at once.
    """
    with transaction.atomic():
        target = _locked(target)
        free = target.max_runs - Run.objects.placed().filter(target=target).count()
        moved = _place(target, free) if free > 0 else []
        for run in moved:
            enqueue_start(run)
    return len(moved)


def _locked(target: ComputeTarget) -> ComputeTarget:
    """The target as it is, with a lock on its row and on that of its machine.

    That keeps two dispatchers from giving one place away twice, or one GPU.
    """
    keys = {target.pk, target.machine_id or target.pk}
    rows = ComputeTarget.objects.select_for_update().filter(pk__in=keys).order_by("pk")
    by_key = {row.pk: row for row in rows}
    found = by_key[target.pk]
    if found.machine_id:
        found.machine = by_key[found.machine_id]
    return found


def _place(target: ComputeTarget, free: int) -> list[Run]:
    """Give away that many places, and the GPUs that are asked for; who got one.

    A run that has to wait for GPUs is passed by those that ask for none.
    """
    pool = None
    moved: list[Run] = []
    for run in _next(target, free):
        if len(moved) == free:
            break
        indexes: list[int] | None = []
        if run.gpus and target.its_kind.picks_gpus:
            pool = pool or Pool.of(target.its_machine)
            indexes = pool.take(run.gpus)
        if indexes is not None and run.move(RunStatus.PREPARING, gpu_indexes=indexes):
            moved.append(run)
    if pool and pool.needs_look:
        _ask_for_look(target.its_machine)
    return moved


def _next(target: ComputeTarget, count: int) -> RunQuerySet:
    """Those that may get one of `count` places, however many of them lack GPUs."""
    queue = Run.objects.queued().filter(target=target)
    if not target.its_kind.picks_gpus:
        return queue[:count]
    able = queue.filter(gpus__gt=0, gpus__lte=len(target.gpus))
    found = [*queue.filter(gpus=0)[:count], *able[:count]]
    return queue.filter(pk__in=[run.pk for run in found])


def _ask_for_look(machine: ComputeTarget) -> None:
    """Have a worker look at the GPUs of a machine, unless one is about to.

    Nobody looks here: a machine takes its time to answer, and its row is locked.
    """
    now = timezone.now()
    is_idle = (
        Q(gpus_asked_at=None)
        | Q(gpus_asked_at__lte=F("gpus_seen_at"))
        # It was lost, or the machine did not answer.
        | Q(gpus_asked_at__lt=now - FRESH)
    )
    idle = ComputeTarget.objects.filter(is_idle, pk=machine.pk)
    if idle.update(gpus_asked_at=now):
        job = job_name("gpus", machine.pk, int(now.timestamp() * 1000))
        transaction.on_commit(
            lambda: enqueue(runs_queue(), "runs.tasks.look_at_gpus", job, machine.pk)
        )


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
