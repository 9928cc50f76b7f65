"""Runs on a machine over SSH: to the first line, and two hundred at once."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.idle import cpu_seconds
from benchmarks.report import Figure, Section, milliseconds, percentile
from benchmarks.targets import first_line, first_line_figure, in_turn
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit, upload
from tests.services.sshd import Sshd
from tests.services.targets import ready_key

_ROUNDS = 12
_COUNT = 200
_SECONDS = 20
_NAME = "far"
# Prints the time twice a second, once all runs are there.
_MANY_LINES = f"""
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.1)
for _ in range({2 * _SECONDS}):
    print(f"{{time.time():.6f}}", flush=True)
    time.sleep(0.5)
"""


def measure(portal: Portal, client: httpx.Client) -> Section:
    with _attached(client) as (sshd, root):
        target = ready_key(client, _NAME)
        first, bare = in_turn(
            _ROUNDS,
            lambda: first_line(portal, client, target),
            lambda: _bare(sshd),
        )
        late, busy = _many(portal, client, target, root)
    return Section(
        title="On a machine over SSH",
        how=(
            "Over loopback. From the submission over HTTP to the line in the mirror;"
            " against `ssh host python -c …` to the same line. Then"
            f" {_COUNT} runs at once that print their clock twice a second for"
            f" {_SECONDS} s, followed over one connection; one socket of another"
            " process compares it with its own."
        ),
        figures=[
            first_line_figure(first, bare, against="ssh host python"),
            Figure(
                what=f"print → socket beside {_COUNT} runs",
                value=(
                    f"p50 {milliseconds(percentile(late, 50))},"
                    f" p99 {milliseconds(percentile(late, 99))}"
                ),
                against=f"{len(late)} lines",
                aim="p99 ≤ 250 ms",
            ),
            Figure(
                what=f"the monitor's CPU for {_COUNT} runs",
                value=f"{busy / _SECONDS:.0%} of a core",
            ),
        ],
    )


@contextmanager
def _attached(client: httpx.Client) -> Iterator[tuple[Sshd, Path]]:
    with tempfile.TemporaryDirectory(prefix="aml-far-") as made, Sshd() as sshd:
        form = {
            "name": _NAME,
            "address": "127.0.0.1",
            "port": str(sshd.port),
            "user": sshd.user,
            "private_key": sshd.private_key,
            "root": made,
            "python": sys.executable,
            "max_runs": str(_COUNT),
            "takes_runs": "on",
        }
        client.post("/compute/new/ssh/", data=form).raise_for_status()
        key = {"host_key": sshd.host_key}
        client.post(f"/compute/{_NAME}/host-key/", data=key).raise_for_status()
        yield sshd, Path(made)
        client.post(f"/compute/{_NAME}/detach/", data={"if_active": "cancel"})


def _bare(sshd: Sshd) -> float:
    begin = time.perf_counter()
    words = [sys.executable, "-u", "-c", "'print(1)'"]
    with subprocess.Popen([*sshd.command(), *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - begin


def _many(
    portal: Portal, client: httpx.Client, target: str, root: Path
) -> tuple[list[float], float]:
    """How late the lines of one of the runs came, and the monitor's CPU seconds."""
    snapshot = upload(client, {"train.py": _MANY_LINES})
    go = str(root / "go")
    runs = [
        submit(portal, client, snapshot=snapshot, target=target, arguments=(go,))
        for _ in range(_COUNT)
    ]
    for run in runs:
        run.wait_for("Running", timeout=300)
    monitor = portal.pids()["monitor"]
    with _watching(portal, client, runs[0]) as process:
        before = cpu_seconds(monitor)
        Path(go).touch()
        assert process.stdout is not None
        late: list[float] = json.loads(process.stdout.readline())
        busy = cpu_seconds(monitor) - before
    for run in runs:
        assert run.wait_for_end(timeout=120) == "Completed"
        assert run.log().count(b"\n") == 2 * _SECONDS
    return late, busy


@contextmanager
def _watching(
    portal: Portal, client: httpx.Client, run: SubmittedRun
) -> Iterator["subprocess.Popen[str]"]:
    """A socket of another process that follows the log of a run."""
    cookie = "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)
    address = portal.url.replace("http", "ws") + f"/ws/runs/{run.run_id}/"
    command = [sys.executable, "-m", "benchmarks.watchers", address, portal.url, "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{cookie}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        yield process
