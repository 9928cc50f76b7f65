"""What the portal takes while nothing happens."""

import re
import time
from pathlib import Path

from benchmarks.report import Figure, Section
from tests.services.portal import Portal

_SETTLE_SECONDS = 5
_WATCH_SECONDS = 20


def measure(portal: Portal) -> Section:
    time.sleep(_SETTLE_SECONDS)
    pids = portal.pids()
    memory = {name: _memory(pid) for name, pid in pids.items()}
    before = sum(cpu_seconds(pid) for pid in pids.values())
    time.sleep(_WATCH_SECONDS)
    busy = sum(cpu_seconds(pid) for pid in pids.values()) - before
    parts = ", ".join(f"{name} {size:.0f}" for name, size in memory.items())
    return Section(
        title="The idle portal",
        how=(
            "Proportional set size (`Pss` in smaps_rollup) of all processes after the"
            f" start; their CPU time over {_WATCH_SECONDS} s."
        ),
        figures=[
            Figure(
                what="memory",
                value=f"{sum(memory.values()):.0f} MB ({parts})",
                aim="≤ 300 MB",
            ),
            Figure(what="CPU", value=f"{busy / _WATCH_SECONDS:.1%} of a core"),
        ],
    )


def _memory(pid: int) -> float:
    """Megabytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
