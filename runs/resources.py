"""What a run used of its target, as columns for a chart, from any byte on."""

import os
from typing import Any, BinaryIO

from msgspec import structs

from runs.mirror import RESOURCES, mirror_folder
from runs.reports import Gpu, Sample, read_sample

MOST_POINTS = 1200
# A longer piece of the file is looked at in as many windows as there are points.
_READ_WHOLE = 4 * 1024 * 1024
_WINDOW = 4096
# No machine has more; a script that writes samples of its own could make up many.
_MOST_GPUS = 64


def read_series(run_id: str, start: int) -> dict[str, Any]:
    """The samples from byte `start` on, thinned, and `next`, the byte to go on from.

    Of neighbours that become one point, the processor's mean and the memory's highest
    are kept: what ends a run is a peak.
    """
    groups, end = _read_groups(run_id, start)
    points = [_merge(group) for group in groups]
    return {
        "next": end,
        "time": [point.time for point in points],
        "cpu": [point.cpu_percent for point in points],
        "memory": [point.memory_bytes for point in points],
        "processes": [point.processes for point in points],
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
    samples = (read_sample(line) for line in content.splitlines())
    return [sample for sample in samples if sample is not None]


def _thin(samples: list[Sample]) -> list[list[Sample]]:
    size = -(-len(samples) // MOST_POINTS) or 1
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def _merge(group: list[Sample]) -> Sample:
    last = group[-1]
    if len(group) == 1:
        return last
    cpu = [each.cpu_percent for each in group if each.cpu_percent is not None]
    return structs.replace(
        last,
        cpu_percent=sum(cpu) / len(cpu) if cpu else None,
        memory_bytes=max(each.memory_bytes or 0 for each in group),
        processes=max(each.processes or 0 for each in group),
    )


def _gpu_columns(points: list[Sample]) -> list[dict[str, Any]]:
    """One column set for each GPU that was ever seen, empty where it was not."""
    columns: dict[int, dict[str, Any]] = {}
    for row, point in enumerate(points):
        for gpu in point.gpus:
            if len(columns) == _MOST_GPUS and gpu.index not in columns:
                continue
            column = columns.setdefault(gpu.index, _gpu_column(gpu, len(points)))
            column["util"][row] = gpu.util_percent
            column["memory"][row] = gpu.memory_used_bytes
    return [columns[index] for index in sorted(columns)]


def _gpu_column(gpu: Gpu, rows: int) -> dict[str, Any]:
    return {
        "index": gpu.index,
        "name": gpu.name,
        "total": gpu.memory_total_bytes,
        "util": [None] * rows,
        "memory": [None] * rows,
    }
