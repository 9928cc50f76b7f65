"""What a run used of its target, as columns for a chart, from any byte on."""

import json
import os
from typing import Any, BinaryIO

from runs.mirror import RESOURCES, mirror_folder

MOST_POINTS = 1200
# A longer piece of the file is looked at in as many windows as there are points.
_READ_WHOLE = 4 * 1024 * 1024
_WINDOW = 4096

Sample = dict[str, Any]


def read_series(run_id: str, start: int) -> dict[str, Any]:
    """The samples from byte `start` on, thinned, and `next`, the byte to go on from.

    Of neighbours that become one point, the processor's mean and the memory's highest
    are kept: what ends a run is a peak.
    """
    groups, end = _read_groups(run_id, start)
    points = [_merge(group) for group in groups]
    return {
        "next": end,
        "time": [point["time"] for point in points],
        "cpu": [point.get("cpu_percent") for point in points],
        "memory": [point.get("memory_bytes") for point in points],
        "processes": [point.get("processes") for point in points],
        "gpus": _gpu_columns(points),
    }


def _read_groups(run_id: str, start: int) -> tuple[list[list[Sample]], int]:
    try:
        file = (mirror_folder(run_id) / RESOURCES).open("rb")
    except FileNotFoundError:
        return [], 0
    with file:
        end = os.fstat(file.fileno()).st_size
        if not 0 <= start <= end:
            start = 0
        if end - start > _READ_WHOLE:
            return _windows(file, start, end), end
        file.seek(start)
        content = file.read(end - start)
        whole = content[: content.rfind(b"\n") + 1]
        return _thin(_samples(whole)), start + len(whole)


def _windows(file: BinaryIO, start: int, end: int) -> list[list[Sample]]:
    groups = []
    for number in range(MOST_POINTS):
        file.seek(start + (end - start) * number // MOST_POINTS)
        window = file.read(_WINDOW)
        # What comes before the first line end and after the last are parts of lines.
        samples = _samples(window[window.find(b"\n") + 1 : window.rfind(b"\n") + 1])
        if samples:
            groups.append(samples)
    return groups


def _samples(content: bytes) -> list[Sample]:
    found = []
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("time"), int | float):
            found.append(value)
    return found


def _thin(samples: list[Sample]) -> list[list[Sample]]:
    size = -(-len(samples) // MOST_POINTS) or 1
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def _merge(group: list[Sample]) -> Sample:
    last = group[-1]
    if len(group) == 1:
        return last
    cpu = [s["cpu_percent"] for s in group if s.get("cpu_percent") is not None]
    return {
        **last,
        "cpu_percent": sum(cpu) / len(cpu) if cpu else None,
        "memory_bytes": max(s.get("memory_bytes") or 0 for s in group),
        "processes": max(s.get("processes") or 0 for s in group),
    }


def _gpu_columns(points: list[Sample]) -> list[dict[str, Any]]:
    """One column set for each GPU that was ever seen, empty where it was not."""
    facts: dict[int, dict[str, Any]] = {}
    for row, point in enumerate(points):
        for gpu in point.get("gpus") or ():
            column = facts.setdefault(gpu["index"], _gpu_column(gpu, len(points)))
            column["util"][row] = gpu.get("util_percent")
            column["memory"][row] = gpu.get("memory_used_bytes")
    return [facts[index] for index in sorted(facts)]


def _gpu_column(gpu: dict[str, Any], rows: int) -> dict[str, Any]:
    return {
        "index": gpu["index"],
        "name": gpu.get("name", ""),
        "total": gpu.get("memory_total_bytes"),
        "util": [None] * rows,
        "memory": [None] * rows,
    }
