"""Which GPUs of a machine a run gets, and why it has to wait for them.

A device is given to one run at a time, whichever of the machine's targets it is on.
Who gives one holds the machine's row.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from aml_portal.errors import UserError
from computes.gpus import Gpu
from computes.models import ComputeTarget
from runs.models import Run, RunQuerySet

# Whether others use a device has to be seen so shortly before it is given away.
FRESH = timedelta(seconds=15)


def check_gpus(target: ComputeTarget, wanted: int) -> None:
    """Raise UserError if the target never has so many."""
    if not wanted or not target.its_kind.picks_gpus:
        return
    there = len(target.gpus)
    if wanted > there:
        has = "1 GPU" if there == 1 else f"{there or 'no'} GPUs"
        asked = "1 was" if wanted == 1 else f"{wanted} were"
        raise UserError(
            f"The compute target {target} has {has} for runs, and {asked} asked for.",
            "Ask for fewer, or pick another target.",
        )


def holding(machine: ComputeTarget) -> RunQuerySet:
    """The runs that have GPUs of a machine."""
    return Run.objects.placed().on_machine(machine).exclude(gpu_indexes=[])


@dataclass(kw_only=True)
class Pool:
    """The GPUs of a machine, and those that runs have.

    `is_fresh` is whether their use by others is known well enough to give them away.
    """

    gpus: list[Gpu]
    held: set[int]
    policy: str
    is_fresh: bool
    error: str = ""
    # Set when a run was refused only since nobody knows who uses what.
    needs_look: bool = False
    _is_closed: bool = field(default=False, init=False)

    @classmethod
    def of(cls, machine: ComputeTarget) -> "Pool":
        runs = dict(holding(machine).values_list("pk", "gpu_indexes"))
        look, seen = machine.gpu_look, machine.gpus_seen_at
        # Of a run that has ended since, the devices look as if others used them.
        is_true = "during" in look and runs.keys() >= {*look["during"]}
        return cls(
            gpus=machine.gpus,
            held={index for indexes in runs.values() for index in indexes},
            policy=machine.gpu_policy,
            is_fresh=bool(is_true and seen and timezone.now() - seen < FRESH),
            error=look.get("error", ""),
        )

    @property
    def unheld(self) -> list[Gpu]:
        return [gpu for gpu in self.gpus if gpu.index not in self.held]

    @property
    def usable(self) -> list[Gpu]:
        """Those that can be given away now, the best ones first."""
        if self.policy == ComputeTarget.GpuPolicy.SHARE:
            return sorted(self.unheld, key=lambda gpu: -gpu.free_memory)
        return [gpu for gpu in self.unheld if not gpu.is_used]

    def take(self, count: int) -> list[int] | None:
        """Devices for the next run; None if it has to wait, and then those that come
        after it have to, too: else one that asks for many would never get them.
        """
        if self._is_closed or count > len(self.unheld):
            self._is_closed = True
            return None
        if not self.is_fresh:
            self.needs_look = self._is_closed = True
            return None
        if count > len(self.usable):
            self._is_closed = True
            return None
        taken = sorted(gpu.index for gpu in self.usable[:count])
        self.held.update(taken)
        return taken


def why_no_gpus(run: Run) -> str:
    """What the run waits for beside a place, in a sentence; empty if for nothing."""
    if not run.gpus or not run.target.its_kind.picks_gpus:
        return ""
    pool = Pool.of(run.target.its_machine)
    if pool.error:
        return f"The GPUs of {run.target.its_machine} can't be looked at: {pool.error}"
    wanted = "1 GPU" if run.gpus == 1 else f"{run.gpus} GPUs"
    there, free = len(pool.gpus), len(pool.usable)
    said = f"It asks for {wanted}; {free} of {there} {_are(free)} free for it"
    used = [gpu for gpu in pool.unheld if gpu not in pool.usable]
    others = "".join(f"; GPU {gpu.index} is in use by {gpu.use}" for gpu in used)
    return f"{said}{others}."


def gpus_in_words(indexes: Collection[int]) -> str:
    """Such as "GPU 0" or "GPUs 0 and 3"."""
    names = [str(index) for index in indexes]
    if len(names) < 2:
        return f"GPU {names[0]}" if names else ""
    return f"GPUs {', '.join(names[:-1])} and {names[-1]}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
