"""What is known of environments on machines, as the jobs that need them tell it.

A machine may have removed what it once had, and nobody told: the next job that needs it
then builds it again, and says so.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aml_portal.durations import short_duration
from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments.images import recipe_of
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
    """What a run would find on a target; `key` is empty while it is not known."""

    text: str
    is_ready: bool
    key: str = ""
    build: Build | None = None


@dataclass(frozen=True, kw_only=True)
class KnownBuild:
    """A build, and whether it is an image of an engine on its machine."""

    build: Build
    is_image: bool


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
        builds = Build.objects.filter(machine=target.its_machine, key=key)
        builds.filter(used_at__lte=time).update(state=Build.State.REMOVED)
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
        machine=target.its_machine, key=key[:64], defaults=facts
    )
    if not is_new:
        Build.objects.filter(pk=build.pk, used_at__lte=time).update(**facts)


def give_up(target: ComputeTarget, keys: Collection[str]) -> None:
    """Nobody builds them there any more, who was canceled or killed; what was built so
    far counts for nothing.
    """
    builds = Build.objects.filter(machine=target.its_machine, key__in=keys)
    builds.filter(state=Build.State.BUILDING).update(state=Build.State.REMOVED)


def outlook(
    environment: Environment, target: ComputeTarget, options: Mapping[str, Any] = {}
) -> Outlook | None:
    """Whether a run would have to wait for a build; None if there is none to make.

    `options` are what the run has chosen on its target.
    """
    try:
        return _outlook(environment, target, options)
    except UserError as error:
        return Outlook(text=str(error), is_ready=False)


def outlooks_of(environment: Environment) -> list[tuple[ComputeTarget, Outlook]]:
    """The targets on which a run would have it made, and what it would find there."""
    found = []
    for target in ComputeTarget.objects.usable().with_way().order_by("name"):
        with suppress(UserError):
            if told := _outlook(environment, target, {}):
                found.append((target, told))
    return found


def key_of(
    environment: Environment, target: ComputeTarget, options: Mapping[str, Any] = {}
) -> str | None:
    """What names it on the target: None if that is not known yet, empty if nothing has
    to be built. Raises UserError for what can't be.
    """
    image_key, lock = target.its_kind.image_key, None
    if not environment.definition.is_user_managed:
        lock = _lock_for(environment, target)
        if lock is None:
            return None
    if image_key:
        return image_key(target, recipe_of(environment, lock), options)
    return lock.key if lock else ""


def build_of(target: ComputeTarget, key: str) -> Build | None:
    return Build.objects.filter(machine=target.its_machine, key=key).first()


def builds_of(environment: Environment) -> list[KnownBuild]:
    """Where a version of an environment is, or was."""
    hosts = {lock.key for lock in environment.locks.all()}
    images = set()
    for target in ComputeTarget.objects.usable().with_way():
        if target.its_kind.runs_images:
            with suppress(UserError):
                images.add(key_of(environment, target))
    builds = Build.objects.filter(key__in=(hosts | images) - {None, ""})
    builds = builds.select_related("machine").order_by("machine__name", "-used_at")
    return [KnownBuild(build=each, is_image=each.key not in hosts) for each in builds]


def _outlook(
    environment: Environment, target: ComputeTarget, options: Mapping[str, Any]
) -> Outlook | None:
    key = key_of(environment, target, options)
    if key == "":
        return None
    build = build_of(target, key) if key else None
    what = "image " if target.its_kind.runs_images else ""
    machine = target.its_machine
    match build and build.state:
        case Build.State.READY:
            text = f"{what}ready on {machine}"
            return Outlook(text=text, is_ready=True, key=key or "", build=build)
        case Build.State.BUILDING:
            text = f"{what}being built on {machine}"
            return Outlook(text=text, is_ready=False, key=key or "")
    text = f"{what}will be built on {machine}"
    took = build.seconds if build else None
    if took is None and key:
        took = _took_elsewhere(key)
    if took is not None:
        text += f", which took about {short_duration(took)} the last time"
    return Outlook(text=text, is_ready=False, key=key or "")


def _lock_for(environment: Environment, target: ComputeTarget) -> Lock | None:
    """As far as the machine is known, and somebody has run it there or on its like."""
    try:
        return find_lock(environment, target.facts)
    except (KeyError, UserError):
        return None


def _took_elsewhere(key: str) -> float | None:
    builds = Build.objects.filter(key=key).exclude(seconds=None)
    return builds.order_by("-used_at").values_list("seconds", flat=True).first()
