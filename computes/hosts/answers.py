"""What a machine says of itself, taken over only where it is what it should be.

The machine may be anybody's: its answers are kept in the database, and are on pages
that everybody looks at.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aml_portal.errors import TargetError
from computes.hosts.base import IdleEnvironment, LivingJob, Place
from computes.hosts.plain import plain

_LONGEST_PATH = 4096
# More than there are on any machine; the portal has to go through all of them.
_MOST_GPUS, _MOST_PROCESSES, _MOST_JOBS = 256, 4096, 100_000
_MOST_ENVIRONMENTS = 10_000
# The largest number that a database has room for.
_MOST = 2**63 - 1

Answer = Mapping[str, Any]


def facts_in(said: Answer, name: str) -> dict[str, Any]:
    """As computes/runner/facts.py tells them. Raises TargetError."""
    with _understood(name):
        texts = ("host", "python", "machine", "write_error")
        sizes = ("memory", "memory_free")
        return {
            **{field: plain(said[field]) for field in texts},
            "executable": plain(said["executable"], _LONGEST_PATH),
            **{field: plain(said[field]) for field in ("glibc", "cuda")},
            "cpus": _or_none(_whole, said["cpus"]),
            "load": _or_none(_number, said["load"]),
            **{field: _or_none(_whole, said[field]) for field in sizes},
            **{field: _whole(said[field]) for field in ("disk", "disk_free")},
            "gpus": _devices(said["gpus"]),
            "gpu_error": plain(said["gpu_error"]),
            "gpu_tool": bool(said["gpu_tool"]),
        }


def gpus_in(said: Answer, name: str) -> dict[str, Any]:
    """As computes/runner/gpus.py tells them. Raises TargetError."""
    with _understood(name):
        return {
            "devices": _devices(said["devices"]),
            "error": plain(said["error"]),
            "has_tool": bool(said["has_tool"]),
        }


def place_in(said: Answer, name: str) -> Place:
    """Where a job is. Raises TargetError."""
    with _understood(name):
        return Place(
            folder=plain(said["folder"], _LONGEST_PATH),
            runner=plain(said["runner"], _LONGEST_PATH),
            python=plain(said["python"], _LONGEST_PATH),
            user=_whole(said["user"]),
            group=_whole(said["group"]),
        )


def living_in(said: Answer, name: str) -> list[LivingJob]:
    """The jobs of which something lives. Raises TargetError."""
    with _understood(name):
        return LivingJob.read_all(
            {
                plain(job): {
                    "portal": plain(told["portal"]),
                    "processes": [
                        _process(each) for each in told["processes"][:_MOST_PROCESSES]
                    ],
                }
                for job, told in list(said.items())[:_MOST_JOBS]
            }
        )


def environments_in(said: Answer, name: str) -> list[IdleEnvironment]:
    """Those that nobody uses. Raises TargetError."""
    with _understood(name):
        return [
            IdleEnvironment(
                key=plain(each["key"]),
                bytes=_or_none(_whole, each["bytes"]),
                used=_number(each["used"]),
            )
            for each in said["environments"][:_MOST_ENVIRONMENTS]
        ]


def state_in(said: Answer, name: str) -> dict[str, Any]:
    """The runner's word on a job. Raises TargetError."""
    with _understood(name):
        code = _or_none(int, said.get("exit_code"))
        asked = _or_none(_number, said.get("asked_to_end"))
        state = plain(said["state"])
        return {"state": state, "exit_code": code, "asked_to_end": asked}


def _process(told: Answer) -> dict[str, Any]:
    return {
        "pid": _whole(told["pid"]),
        "name": plain(told["name"]),
        "since": _number(told["since"]),
        "memory_bytes": _whole(told["memory_bytes"]),
    }


def _devices(told: Any) -> list[dict[str, Any]]:
    if not isinstance(told, list) or len(told) > _MOST_GPUS:
        raise TypeError("these are no GPUs")
    devices = [_device(each) for each in told]
    if len({each["index"] for each in devices}) < len(devices):
        raise ValueError("two of them have one number")
    return devices


def _device(told: Answer) -> dict[str, Any]:
    index = _whole(told["index"])
    if index >= _MOST_GPUS:
        raise ValueError("no GPU has this number")
    sizes = ("memory_used", "memory")
    return {
        "index": index,
        "name": plain(told["name"]),
        "uuid": plain(told["uuid"]),
        "util_percent": _or_none(_number, told["util_percent"]),
        **{field: _or_none(_whole, told[field]) for field in sizes},
        "processes": [
            {
                "pid": plain(each["pid"]),
                "owner": plain(each["owner"]),
                "memory": _or_none(_whole, each["memory"]),
            }
            for each in told["processes"][:_MOST_PROCESSES]
        ],
    }


def _or_none(read: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else read(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError("it is no such number")
    return int(value)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("it is no such number")
    return float(value)


@contextmanager
def _understood(name: str) -> Iterator[None]:
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise TargetError(
            f"{name} answers in a way that the portal does not understand.",
            "Look at what its Python and its nvidia-smi are.",
        ) from error
