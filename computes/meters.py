"""How full a machine is, at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aml_portal.sizes import spell_size
from computes.gpus import Gpu


@dataclass(frozen=True, kw_only=True)
class Meter:
    """One of its resources: what there is in words, and which share is in use."""

    label: str
    words: str
    share: float | None = None


def meters_of(facts: Mapping[str, Any], gpus: Sequence[Gpu]) -> list[Meter]:
    """Those of a machine that told these facts (computes/runner/facts.py)."""
    return [
        _processors(facts),
        _space("Memory", facts["memory"], facts["memory_free"]),
        _gpus(gpus),
        _space("Disk", facts["disk"], facts["disk_free"]),
    ]


def _processors(facts: Mapping[str, Any]) -> Meter:
    count, load = facts["cpus"], facts["load"]
    words = f"{count or 'not known'}, load not known"
    if load is not None:
        words = f"load {load} of {count or 'not known'}"
    return Meter(label="CPU", words=words, share=_share(load, count))


def _space(label: str, size: int | None, free: int | None) -> Meter:
    if size is None or free is None:
        return Meter(label=label, words="not known")
    words = f"{spell_size(free)} of {spell_size(size)} free"
    return Meter(label=label, words=words, share=_share(size - free, size))


def _gpus(gpus: Sequence[Gpu]) -> Meter:
    if not gpus:
        return Meter(label="GPUs", words="none")
    used = sum(gpu.is_used for gpu in gpus)
    words = f"{len(gpus) - used} of {len(gpus)} unused"
    return Meter(label="GPUs", words=words, share=_share(used, len(gpus)))


def _share(part: float | None, whole: float | None) -> float | None:
    """At most 1; None if it can't be told."""
    return None if part is None or not whole else min(part / whole, 1.0)
