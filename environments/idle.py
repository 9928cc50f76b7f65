"""What was built on machines and no run uses at the moment, for administrators."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from computes.hosts import IdleEnvironment
from computes.models import ComputeTarget
from computes.patience import answer_soon
from computes.targets import host_of
from environments import builds
from environments.models import Environment, Lock
from environments.preparing import INSTALLER


@dataclass(frozen=True, kw_only=True)
class IdleBuild:
    """`environments` are the versions that come to it, as far as this portal knows."""

    found: IdleEnvironment
    environments: list[Environment]

    @property
    def used_at(self) -> datetime:
        return datetime.fromtimestamp(self.found.used, UTC)

    @property
    def purpose(self) -> str:
        """What it is for, where it comes of no environment that is known."""
        if self.found.key.startswith(INSTALLER):
            return "installs packages of conda"
        return "of no environment of this portal"

    @property
    def is_unfinished(self) -> bool:
        return self.found.bytes is None


def idle_builds(target: ComputeTarget) -> list[IdleBuild]:
    """Those of the target's machine; unused for longest first. Raises TargetError."""
    idle = answer_soon(target, host_of(target).environments)
    known: dict[str, list[Environment]] = {each.key: [] for each in idle}
    locks = Lock.objects.select_related("environment").order_by("pk")
    # One by one: the packages of conda take a megabyte of text.
    for lock in locks.iterator(chunk_size=1) if idle else ():
        if lock.key in known:
            known[lock.key].append(lock.environment)
    return [IdleBuild(found=each, environments=known[each.key]) for each in idle]


def remove_build(target: ComputeTarget, key: str) -> None:
    """Remove one of these. Raises TargetError, also if a run has begun to use it."""
    host = host_of(target)
    answer_soon(target, lambda: host.remove_environment(key))
    builds.note(target, key=key, state="removed", time=timezone.now())
