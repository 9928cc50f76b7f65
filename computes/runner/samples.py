"""Tells what the processes of a job use, and since when it is idle.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

# The folder that Python was given is the first in its path.
from runner import (  # type: ignore[import-not-found]
    LOG,
    RESOURCES,
    Job,
    append_line,
    below,
    of_script,
    stat_fields,
)

if TYPE_CHECKING:
    import subprocess
    import threading

Json = Dict[str, Any]


class Samples:
    """Writes resources.jsonl: often in the first minute, rarely in long runs.

    And knows since when the job is idle: it prints nothing, and uses hardly any of a
    processor and none of the GPUs that `env` lets it see.
    """

    BUSY_PERCENT = 1.0

    def __init__(self, job: Job, supervisor: int, env: Json) -> None:
        self.path = job.path(RESOURCES)
        self.log = job.path(LOG)
        self.log_size = 0
        self.visible_gpus: Optional[str] = env.get("CUDA_VISIBLE_DEVICES")
        self.supervisor = supervisor
        self.begun = time.monotonic()
        self.due = self.begun + 0.2
        self.busy_at = self.begun
        # CPU seconds used up to the last sample, and when that was taken.
        self.last: Optional[Tuple[float, float]] = None
        # CPU seconds of what has ended, which no process that lives accounts for.
        self.ended = 0.0
        self.ticks = os.sysconf("SC_CLK_TCK")
        self.page = os.sysconf("SC_PAGE_SIZE")
        self.gpus = GpuReader()

    def count_ended(self, pid: int, seconds: float) -> None:
        """Take the CPU time of a process that has ended, and of its children."""
        if pid != self.gpus.pid:
            self.ended += seconds

    def take_if_due(self) -> None:
        now = time.monotonic()
        if now < self.due:
            return
        age = now - self.begun
        self.due = now + (1 if age < 60 else 5 if age < 3600 else 15)
        sample = self._sample(now)
        if self.gpus.program:
            sample["gpus"] = self.gpus.latest
            self.gpus.ask()
        if self._is_busy(sample):
            self.busy_at = now
        append_line(self.path, json.dumps(sample) + "\n")

    def idle_seconds(self) -> float:
        return time.monotonic() - self.busy_at

    def _is_busy(self, sample: Json) -> bool:
        before = self.log_size
        with contextlib.suppress(OSError):
            self.log_size = os.stat(self.log).st_size
        return (
            self.log_size != before
            or sample["cpu_percent"] >= self.BUSY_PERCENT
            or any(self._is_busy_gpu(gpu) for gpu in sample.get("gpus", ()))
        )

    def _is_busy_gpu(self, gpu: Json) -> bool:
        visible = self.visible_gpus
        is_seen = visible is None or str(gpu["index"]) in visible.split(",")
        return is_seen and bool(gpu["util_percent"])

    def _sample(self, now: float) -> Json:
        memory, count, ticks = 0, 0, 0
        for pid in of_script(self.supervisor, below(self.supervisor)):
            fields = stat_fields(pid)
            if fields:
                count += 1
                memory += int(fields[21]) * self.page
                # Its own, and that of the children that it has waited for.
                ticks += sum(int(field) for field in fields[11:15])
        used = self.ended + ticks / self.ticks
        percent = 0.0
        if self.last:
            before, then = self.last
            percent = 100.0 * (used - before) / max(now - then, 0.001)
        self.last = (used, now)
        return {
            "time": time.time(),
            "cpu_percent": round(max(percent, 0.0), 1),
            "memory_bytes": memory,
            "processes": count,
        }


class GpuReader:
    """Asks nvidia-smi, if there is one, in a thread that nobody waits for."""

    FIELDS = ("index", "name", "utilization.gpu", "memory.used", "memory.total")
    PATIENCE = 10.0
    LONGEST_ANSWER = 1 << 16

    def __init__(self) -> None:
        self.program = shutil.which("nvidia-smi") or ""
        self.latest: List[Json] = []
        # The process that was asked last.
        self.pid = 0
        self._asked = 0.0
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._thread: Optional[threading.Thread] = None

    def ask(self) -> None:
        """Ask again, unless the last question is still open."""
        import threading

        if self._thread and self._thread.is_alive():
            if self._process and time.monotonic() - self._asked > self.PATIENCE:
                self._process.kill()
            return
        self._asked = time.monotonic()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        import subprocess

        command = [
            self.program,
            "--query-gpu=" + ",".join(self.FIELDS),
            "--format=csv,noheader,nounits",
        ]
        with contextlib.suppress(OSError, ValueError):
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                self._process, self.pid = process, process.pid
                assert process.stdout
                answer = process.stdout.read(self.LONGEST_ANSWER)
                process.kill()
            lines = answer.decode().splitlines()
            self.latest = [self._gpu(line) for line in lines if line.strip()]

    @staticmethod
    def _gpu(line: str) -> Json:
        index, name, util, used, total = [part.strip() for part in line.split(",")]
        return {
            "index": int(index),
            "name": name,
            "util_percent": float(util) if util.replace(".", "").isdigit() else None,
            "memory_used_bytes": int(used) << 20 if used.isdigit() else None,
            "memory_total_bytes": int(total) << 20 if total.isdigit() else None,
        }
