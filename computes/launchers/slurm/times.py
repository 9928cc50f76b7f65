"""Slurm's way to write spans of time, and what limits of time a job gets."""

import math
import re
from dataclasses import dataclass
from typing import Any

_SPAN = re.compile(
    r"(?:(?P<days>\d+)-(?P<hours>\d+)(?::(?P<minutes>\d+)(?::(?P<seconds>\d+))?)?"
    r"|(?P<plain>\d+(?::\d+){0,2}))"
)
_DAY = 86400
# Slurm's clock ticks in such steps when it sends a warning or ends a job.
_SLACK = 60
_LONGEST_WARNING = 65535


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a partition in seconds; None where it has none."""

    default: float | None = None
    longest: float | None = None


def seconds_of(span: str) -> float | None:
    """The seconds in a span of time as Slurm writes it; None for anything else.

    “30” are minutes, “1:30” minutes and seconds, “1-12” a day and hours.
    """
    found = _SPAN.fullmatch(span.strip())
    if found is None:
        return None
    if found["plain"] is None:
        days, *parts = (int(part or 0) for part in found.groups()[:4])
    else:
        days, parts = 0, [int(part) for part in found["plain"].split(":")]
        if len(parts) < 3:
            parts = [0, *parts, 0][:3]
    hours, minutes, seconds = parts
    return float(days * _DAY + hours * 3600 + minutes * 60 + seconds)


def time_options(spec: dict[str, Any], asked: str, partition: Limits) -> list[str]:
    """The options of sbatch for the time that a job may take.

    What a person asks for stands. Else it is as long as the job's own maximum duration,
    by which the runner ends it, and no longer than the partition allows, since Slurm
    would never begin a longer one. Before Slurm's limit comes, the runner is warned so
    early that it can end the script well.
    """
    grace = spec["grace_seconds"]
    if asked:
        options, limit = [f"--time={asked}"], seconds_of(asked)
    else:
        wanted = _wanted(spec, partition)
        options = [f"--time={math.ceil(wanted / 60)}"] if wanted else []
        limit = wanted or partition.default or partition.longest
    warning = min(grace + _SLACK / 2, (limit or math.inf) / 4, _LONGEST_WARNING)
    if limit is None or limit >= 4 * _SLACK:
        options.append(f"--signal=B:TERM@{int(warning)}")
    return options


def _wanted(spec: dict[str, Any], partition: Limits) -> float | None:
    if spec["max_duration_seconds"] is None:
        return None
    wanted: float = spec["max_duration_seconds"] + 2 * spec["grace_seconds"]
    return min(wanted + 2 * _SLACK, partition.longest or math.inf)
