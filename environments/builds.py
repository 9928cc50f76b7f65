"""What is known of environments on machines, as the jobs that need them tell it.

A machine may have removed what it once had, and nobody told: the next job that needs it
then builds it again, and says so.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, prefetch_related_objects
from django.utils import timezone

from aml_portal.durations import short_duration
from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments.images import recipe_of
from environments.locks import known_lock
from environments.models import Build, Environment

# A job may tell anything.
_LONGEST_KEY = 64
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

    It may be told twice, and of long ago: what is known to be later stays. A clock
    that is ahead must not outdo all that will be told.
    """
    time = min(time, timezone.now())
    machine, key = target.its_machine, key[:_LONGEST_KEY]
    builds = Build.objects.filter(machine=machine, key=key)
    if state == "removed":
        builds.filter(used_at__lte=time).update(state=Build.State.REMOVED)
    if not key or state not in _STATES:
        return
    told = {"seconds": seconds, "bytes": size}
    facts: dict[str, object] = {"state": _STATES[state], "used_at": time}
    facts |= {name: value for name, value in told.items() if value is not None}
    if state == "built":
        facts["built_at"] = time
    _, is_new = builds.get_or_create(machine=machine, key=key, defaults=facts)
    if not is_new:
        builds.filter(used_at__lte=time).update(**facts)


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
        key = key_of(environment, target, options)
    except UserError as error:
        return Outlook(text=str(error), is_ready=False)
    return _outlook(target, key, _newest_first({key}))


def outlooks_of(environment: Environment) -> list[tuple[ComputeTarget, Outlook]]:
    """The targets on which a run would have it made, and what it would find there."""
    keys = _keys_of(environment)
    builds = _newest_first({key for _, key in keys})
    found = [(target, _outlook(target, key, builds)) for target, key in keys]
    return [(target, told) for target, told in found if told]


def check_target(environment: Environment, target: ComputeTarget) -> None:
    """Raises UserError if the target has no containers, and the environment asks for
    one: its image may have what no folder of packages has.
    """
    if environment.definition.docker.enabled and not target.its_kind.runs_images:
        raise UserError(
            f"The environment {environment} runs in Docker, and {target} has no"
            " containers.",
            "Pick a compute target with Docker, or another environment.",
        )


def key_of(
    environment: Environment, target: ComputeTarget, options: Mapping[str, Any] = {}
) -> str | None:
    """What names it on the target: None if that is not known yet, empty if nothing has
    to be built. Raises UserError for what can't be.
    """
    check_target(environment, target)
    image_key, lock = target.its_kind.image_key, None
    if not environment.definition.is_user_managed:
        lock = known_lock(environment, target)
        if lock is None:
            return None
    if image_key:
        return image_key(target, recipe_of(environment, lock), options)
    return lock.key if lock else ""


def build_of(target: ComputeTarget, key: str) -> Build | None:
    return Build.objects.filter(machine=target.its_machine, key=key).first()


def builds_of(environment: Environment) -> list[KnownBuild]:
    """Where a version of an environment is, or was."""
    keys = _keys_of(environment)
    images = {key for target, key in keys if target.its_kind.runs_images}
    folders = {lock.key for lock in environment.locks.all()}
    builds = _newest_first(folders | images).select_related("machine")
    return [
        KnownBuild(build=each, is_image=each.key not in folders)
        for each in builds.order_by("machine__name", "-used_at")
    ]


def _keys_of(environment: Environment) -> list[tuple[ComputeTarget, str | None]]:
    """The targets that can have it, by name, and what `key_of` says of each."""
    prefetch_related_objects([environment], "locks")
    found = []
    for target in ComputeTarget.objects.usable().with_way().order_by("name"):
        with suppress(UserError):
            found.append((target, key_of(environment, target)))
    return found


def _newest_first(keys: Collection[str | None]) -> QuerySet[Build]:
    """The builds with these keys on all machines."""
    wanted = [key for key in keys if key]
    return Build.objects.filter(key__in=wanted).order_by("-used_at")


def _outlook(
    target: ComputeTarget, key: str | None, builds: Iterable[Build]
) -> Outlook | None:
    """`builds` are those of the key, and perhaps of others; the newest is first."""
    if key == "":
        return None
    machine = target.its_machine
    what = "image " if target.its_kind.runs_images else ""
    known = [each for each in builds if each.key == key]
    here = [each for each in known if each.machine_id == machine.pk]
    match here and here[0].state:
        case Build.State.READY:
            text = f"{what}ready on {machine}"
            return Outlook(text=text, is_ready=True, key=key or "", build=here[0])
        case Build.State.BUILDING:
            text = f"{what}being built on {machine}"
            return Outlook(text=text, is_ready=False, key=key or "")
    text = f"{what}will be built on {machine}"
    # Elsewhere it may have been quicker or slower, but not by much.
    took = [each.seconds for each in (*here, *known) if each.seconds is not None]
    if took:
        text += f", which took about {short_duration(took[0])} the last time"
    return Outlook(text=text, is_ready=False, key=key or "")
