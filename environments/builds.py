"""What is known of environments on machines, as the jobs that need them tell it.

A machine may have removed what it once had, and nobody told: the next job that needs it
then builds it again, and says so.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments.locks import find_lock
from environments.models import Build, Environment, Lock

# What a job tells (computes/runner/environment.py), and what that makes of a build.
_STATES = {
    "building": Build.State.BUILDING,
    "built": Build.State.READY,
    "hit": Build.State.READY,
    "failed": Build.State.FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a run would find on a target."""

    text: str
    is_ready: bool


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
    if state == "removed":
        _known(target, key).filter(used_at__lte=time).update(state=Build.State.REMOVED)
    kept = _STATES.get(state)
    if kept is None or not key:
        return
    facts: dict[str, object] = {"state": kept, "used_at": time}
    if state == "built":
        facts["built_at"] = time
    if seconds is not None:
        facts["seconds"] = seconds
    if size is not None:
        facts["bytes"] = size
    build, is_new = Build.objects.get_or_create(
        machine=_machine(target), key=key[:64], defaults=facts
    )
    if not is_new:
        Build.objects.filter(pk=build.pk, used_at__lte=time).update(**facts)


def give_up(target: ComputeTarget, lock: Lock) -> None:
    """Nobody builds it there any more; who was killed did not say so."""
    builds = _known(target, lock.key).filter(state=Build.State.BUILDING)
    builds.update(state=Build.State.FAILED)


def outlook(environment: Environment, target: ComputeTarget) -> Outlook | None:
    """Whether a run would have to wait for a build; None if there is none to make."""
    if environment.definition.is_user_managed:
        return None
    lock = _lock_for(environment, target)
    build = _known(target, lock.key).first() if lock else None
    machine = _machine(target)
    match build and build.state:
        case Build.State.READY:
            return Outlook(text=f"ready on {machine}", is_ready=True)
        case Build.State.BUILDING:
            return Outlook(text=f"being built on {machine}", is_ready=False)
    took = build.seconds if build else None
    if took is None and lock:
        took = _took_elsewhere(lock)
    text = f"will be built on {machine}"
    if took is not None:
        text += f", which took about {_about(took)} the last time"
    return Outlook(text=text, is_ready=False)


def build_of(lock: Lock, target: ComputeTarget) -> Build | None:
    return _known(target, lock.key).first()


def builds_of(environment: Environment) -> list[Build]:
    """Where a version of an environment is, or was."""
    keys = [lock.key for lock in environment.locks.all()]
    builds = Build.objects.filter(key__in=keys).select_related("machine")
    return list(builds.order_by("machine__name", "-used_at"))


def _lock_for(environment: Environment, target: ComputeTarget) -> Lock | None:
    """As far as the machine is known, and somebody has run it there or on its like."""
    try:
        return find_lock(environment, target.facts)
    except (KeyError, UserError):
        return None


def _took_elsewhere(lock: Lock) -> float | None:
    builds = Build.objects.filter(key=lock.key).exclude(seconds=None)
    return builds.order_by("-used_at").values_list("seconds", flat=True).first()


def _known(target: ComputeTarget, key: str) -> QuerySet[Build]:
    return Build.objects.filter(machine=_machine(target), key=key)


def _machine(target: ComputeTarget) -> ComputeTarget:
    return target.machine or target


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min"
