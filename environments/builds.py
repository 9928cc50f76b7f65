"""What is known of environments on machines, as the jobs that need them tell it."""

from datetime import datetime

from computes.models import ComputeTarget
from environments.models import Build

# What a job tells (computes/runner/environment.py), and what that makes of a build.
_STATES = {
    "building": Build.State.BUILDING,
    "built": Build.State.READY,
    "hit": Build.State.READY,
    "failed": Build.State.FAILED,
}


def note(
    target: ComputeTarget,
    *,
    key: str,
    state: str,
    time: datetime,
    seconds: float | None = None,
    size: int | None = None,
) -> None:
    """Keep what a job on `target` has told of the environment that it needs.

    It may be told twice, and of long ago: what is known to be later stays.
    """
    kept = _STATES.get(state)
    if kept is None or not key:
        return
    facts: dict[str, object] = {"state": kept, "used_at": time}
    if seconds is not None:
        facts["seconds"] = seconds
    if size is not None:
        facts["bytes"] = size
    machine = target.machine or target
    build, is_new = Build.objects.get_or_create(
        machine=machine, key=key[:64], defaults=facts
    )
    if not is_new:
        Build.objects.filter(pk=build.pk, used_at__lte=time).update(**facts)
