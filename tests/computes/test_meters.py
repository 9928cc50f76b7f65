"""How full a machine is, from the facts that it told."""

from typing import Any

from computes.gpus import Gpu
from computes.meters import meters_of

_FACTS: dict[str, Any] = {
    "cpus": 8,
    "load": 2.0,
    "memory": 16_000_000_000,
    "memory_free": 4_000_000_000,
    "disk": 100_000_000_000,
    "disk_free": 100_000_000_000,
}


def told(**changes: object) -> dict[str, tuple[str, float | None]]:
    gpus = [Gpu(index=0, users={"anna": 1 << 30}), Gpu(index=1, users={})]
    meters = meters_of({**_FACTS, **changes}, gpus)
    return {meter.label: (meter.words, meter.share) for meter in meters}


def test_each_resource_is_told_in_words_and_as_a_share_in_use() -> None:
    assert told() == {
        "CPU": ("load 2.0 of 8", 0.25),
        "Memory": ("4.0 GB of 16 GB free", 0.75),
        "GPUs": ("1 of 2 unused", 0.5),
        "Disk": ("100 GB of 100 GB free", 0.0),
    }


def test_what_is_not_known_has_no_share_and_an_overload_is_full() -> None:
    facts = told(load=20.0, memory=None, disk_free=None)
    assert facts["CPU"] == ("load 20.0 of 8", 1.0)
    assert facts["Memory"] == facts["Disk"] == ("not known", None)
    assert told(load=None)["CPU"] == ("8, load not known", None)
