"""Two hundred short runs at once."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.report import Figure, Section
from tests.services.portal import Portal
from tests.services.runs import set_places, submit, upload

_COUNT = 200
_SCRIPT = "print('done')\n"


def measure(portal: Portal, client: httpx.Client) -> Section:
    set_places(portal, _COUNT)
    snapshot = upload(client, {"train.py": _SCRIPT})
    begin = time.perf_counter()
    runs = [submit(portal, client, snapshot=snapshot) for _ in range(_COUNT)]
    submitted = time.perf_counter() - begin
    ends = Counter(run.wait_for_end(timeout=600) for run in runs)
    taken = time.perf_counter() - begin
    assert ends == {"Completed": _COUNT}, ends
    assert all(run.log() == b"done\n" for run in runs)
    bare = _bare()
    return Section(
        title=f"{_COUNT} short runs at once",
        how=(
            "Submitted over HTTP one after another, on a target that takes as many; to"
            " the last one Completed, each with its whole log. Against as many bare"
            " subprocesses."
        ),
        figures=[
            Figure(
                what="a submission",
                value=f"{submitted / _COUNT * 1000:.0f} ms",
            ),
            Figure(
                what=f"all {_COUNT} Completed",
                value=f"{taken:.1f} s, {_COUNT / taken:.0f} runs/s",
                against=f"bare subprocesses {bare:.1f} s",
                ratio=f"{taken / bare:.1f}",
            ),
        ],
    )


def _bare() -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(_SCRIPT)
        begin = time.perf_counter()
        processes = [
            subprocess.Popen(
                [sys.executable, str(script)],
                stdout=subprocess.DEVNULL,
            )
            for _ in range(_COUNT)
        ]
        for process in processes:
            process.wait()
        return time.perf_counter() - begin
