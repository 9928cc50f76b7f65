"""What launchers see of jobs from outside: why one waits, and why one ended badly."""

from collections.abc import Iterable

from django.utils import timezone

from computes.hosts import Host, plain
from computes.launchers import Launcher, Sight
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs.models import Run
from runs.notices import announce_change
from runs.status import RunStatus

# In a run's properties: what its job is called on the target, and where it is shown.
JOB_NAME, JOB_URL = "TargetJobName", "TargetJobUrl"
# So long after its grace a canceled job may live on before it is ended by force.
_FORCE_AFTER = 15.0


def look(target: ComputeTarget) -> bool:
    """Look once at the jobs of a target; False if there are none to be looked at.

    Raises TargetError.
    """
    runs = {run.run_id: run for run in _with_jobs(target)}
    if not runs:
        return False
    host, launcher = host_of(target), launcher_of(target)
    for job, sight in launcher.look(list(runs)).items():
        _take(runs[job], sight, host)
    for run in runs.values():
        _end_by_force(run, host, launcher)
    return True


def _with_jobs(target: ComputeTarget) -> Iterable[Run]:
    """The runs that may have a job there.

    Not those that are just being submitted: their jobs are not there yet, which looks
    as if they were gone. Whoever submitted one may have been killed before its handle
    was kept, though.
    """
    runs = Run.objects.filter(target=target)
    there = runs.followed() | runs.left_there()
    return there.exclude(handle__isnull=True, started_at=None, cancel_requested_at=None)


def _take(run: Run, sight: Sight, host: Host) -> None:
    _keep_name(run, sight)
    words = plain(sight.words)
    changed = Run.objects.filter(pk=run.pk).exclude(sight=words)
    if changed.update(sight=words):
        announce_change(run.run_id, "notes")
    if sight.is_over and host.state(run.run_id)["state"] == "not_started":
        # It will never be: who follows the run is told so, as the job's last word.
        words = " ".join(filter(None, (words, plain(sight.hint))))
        host.cancel(run.run_id, grace_seconds=0, reason=words)


def _end_by_force(run: Run, host: Host, launcher: Launcher) -> None:
    """End a job that was asked to end and could not, such as one that is frozen."""
    patience = run.configuration.grace_seconds + _FORCE_AFTER
    wanted = run.cancel_requested_at
    if wanted is None or (timezone.now() - wanted).total_seconds() < patience:
        return
    # The target may have been away, and have been told only just now.
    asked = host.state(run.run_id).get("asked_to_end")
    if asked is not None and asked >= patience:
        launcher.end(run.run_id)


def _keep_name(run: Run, sight: Sight) -> None:
    """Keep with the run what its job is called there."""
    name = plain(sight.name)
    if name and run.properties.get(JOB_NAME) != name:
        run.properties |= {JOB_NAME: name, JOB_URL: sight.url}
        Run.objects.filter(pk=run.pk).update(properties=run.properties)
        announce_change(run.run_id, "notes")


def look_back(run: Run, sight: Sight) -> None:
    """Keep what is seen of a run that has ended: of a bad end, why; once."""
    _keep_name(run, sight)
    if run.status != RunStatus.FAILED:
        return
    hint = plain(sight.hint)
    if hint and hint not in run.error:
        run.error = f"{run.error} {hint}".strip()
        Run.objects.filter(pk=run.pk).update(error=run.error)
        run.note(hint)
