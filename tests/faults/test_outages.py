"""A full disk, a frozen monitor, a Redis that forgets everything: nothing is lost."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import redis

from aml_portal.broker import broker_url
from tests.services.portal import ROOT, Portal
from tests.services.runs import SubmittedRun, set_places, submit, upload
from tests.waiting import eventually

SCRIPT = Path(__file__).with_name("chatty.py").read_text()
LARGE = """
import os, pathlib, random
data = random.Random(5).randbytes(5_000_000)
pathlib.Path("outputs/large").write_bytes(data)
while data:
    data = data[os.write(1, data) :]
"""


def test_a_full_disk_delays_the_mirror_and_loses_nothing(
    portal: Portal, client: httpx.Client
) -> None:
    """The kernel refuses the monitor to write, as it does where no room is left."""
    monitor = portal.pids()["monitor"]
    _, hard = resource.prlimit(monitor, resource.RLIMIT_FSIZE)
    resource.prlimit(monitor, resource.RLIMIT_FSIZE, (2_000_000, hard))
    run = submit(portal, client, script=LARGE)
    other = submit(portal, client, script="print('small')")
    eventually(lambda: "disk is full" in _sentences(run), "the timeline says so")
    other.wait_for_end()
    assert run.status != "Completed"
    assert len(run.log()) == 2_000_000
    resource.prlimit(monitor, resource.RLIMIT_FSIZE, (hard, hard))
    assert run.wait_for_end() == "Completed"
    assert portal.pids()["monitor"] == monitor
    assert len(run.log()) == 5_000_000
    assert run.log() == (run.mirror / "files/outputs/large").read_bytes()
    assert _sentences(run).count("disk is full") == 1


def _sentences(run: SubmittedRun) -> str:
    return "\n".join(sentence for _, sentence in run.events())


def test_a_second_monitor_takes_over_from_one_that_freezes(
    portal: Portal, client: httpx.Client
) -> None:
    """When the first one thaws, both write the mirror for a while."""
    first = portal.pids()["monitor"]
    with _second_monitor(portal):
        run = submit(portal, client, script=SCRIPT, arguments=("3", "22"))
        eventually(run.log, "the first monitor mirrors the log")
        os.kill(first, signal.SIGSTOP)
        try:
            frozen = len(run.log())
            eventually(lambda: len(run.log()) > frozen, "the second one goes on", 40)
        finally:
            os.kill(first, signal.SIGCONT)
        run.wait_for_end()
    assert run.log_digest() == run.output("outputs/printed.txt")
    states = [status for status, _ in run.events() if status]
    assert len(states) == len(set(states))


@contextmanager
def _second_monitor(portal: Portal) -> Iterator[None]:
    command = [sys.executable, str(ROOT / "manage.py"), "monitor"]
    process = subprocess.Popen(command, env=portal.env)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_a_redis_that_forgets_everything_forgets_no_run(
    portal: Portal, client: httpx.Client
) -> None:
    set_places(portal, 2)
    snapshot = upload(client, {"train.py": SCRIPT})
    broker = redis.Redis.from_url(broker_url(portal.data))
    runs = []
    for number in range(5):
        arguments = (str(number), "0.3")
        runs.append(submit(portal, client, snapshot=snapshot, arguments=arguments))
        broker.flushall()
    for run in runs:
        run.wait_for_end()
        assert run.log_digest() == run.output("outputs/printed.txt")
    broker.close()


# Cancels, as a person asks for them.


def _cancel(client: httpx.Client, run: SubmittedRun) -> None:
    answer = client.post(f"/runs/{run.run_id}/cancel/")
    assert answer.status_code == 200, answer.text


def test_runs_are_canceled_at_any_moment(portal: Portal, client: httpx.Client) -> None:
    set_places(portal, 1)
    script = "import time; print('begun', flush=True); time.sleep(60)"
    snapshot = upload(client, {"train.py": script})
    running = submit(portal, client, snapshot=snapshot)
    starting = submit(portal, client, snapshot=snapshot)
    waiting = submit(portal, client, snapshot=snapshot)
    running.wait_for("Running")
    _cancel(client, waiting)
    assert waiting.status == "Canceled"
    _cancel(client, running)
    _cancel(client, running)
    assert running.wait_for_end() == "Canceled"
    starting.wait_for("Preparing", "Starting", "Running")
    _cancel(client, starting)
    assert starting.wait_for_end() == "Canceled"
    for run in (running, starting, waiting):
        before = run.events()
        _cancel(client, run)
        assert run.events() == before


def test_a_run_ends_at_its_maximum_duration(
    portal: Portal, client: httpx.Client
) -> None:
    script = "import time; time.sleep(60)"
    run = submit(portal, client, script=script, max_duration="1s")
    assert run.wait_for_end() == "Canceled"
    assert run.column("error") == (
        "The run reached its maximum duration. 1 process was ended, none left."
    )
