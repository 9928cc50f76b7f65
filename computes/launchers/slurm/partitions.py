"""The partitions of a cluster, as sinfo tells them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from computes.launchers.slurm.client import SlurmClient
from computes.launchers.slurm.times import Limits, seconds_of
from computes.launchers.slurm.words import node_state

_COLUMNS = "%P|%l|%L|%a|%D|%T"


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition, and how many of its nodes are in which state."""

    name: str
    is_default: bool
    is_up: bool
    limits: Limits
    nodes: Counter[str]

    def __str__(self) -> str:
        name = f"{self.name} (default)" if self.is_default else self.name
        count = self.nodes.total()
        states = ", ".join(f"{number} {state}" for state, number in self.nodes.items())
        shown = f"{name}: {count} node{'' if count == 1 else 's'}, {states}"
        return shown if self.is_up else f"{shown}, but the partition is down"


def partitions(client: SlurmClient) -> list[Partition]:
    """Those that the portal's account can see, in Slurm's order."""
    found: dict[str, Partition] = {}
    rows = client.table("sinfo", f"--format={_COLUMNS}", columns=_COLUMNS)
    for marked, longest, default, up, count, state in rows:
        name = marked.removesuffix("*")
        partition = found.setdefault(
            name,
            Partition(
                name=name,
                is_default=marked.endswith("*"),
                is_up=up == "up",
                limits=Limits(default=seconds_of(default), longest=seconds_of(longest)),
                nodes=Counter(),
            ),
        )
        partition.nodes[node_state(state)] += int(count)
    return [*found.values()]


def limits_of(known: Sequence[Partition], names: str) -> Limits:
    """The closest of the partitions that a job may go to, separated by commas."""
    wanted = names.split(",")
    chosen = [
        each.limits
        for each in known
        if (each.name in wanted if names else each.is_default)
    ]
    return Limits(
        default=min((each.default for each in chosen if each.default), default=None),
        longest=min((each.longest for each in chosen if each.longest), default=None),
    )


def told(known: Iterable[Partition]) -> str:
    return "; ".join(map(str, known)) + "."
