"""Jobs in a place of whose processes nothing is seen from here, as in a container."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.follower import Following
from tests.computes.jobs import RUNNER_COMMAND, JobFolder
from tests.waiting import eventually

# With numbers of processes of its own, so that those here and there mean others.
APART = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
WAITS = "import time; print('ready', flush=True); time.sleep(600)"
Begin = Callable[[JobFolder], "subprocess.Popen[bytes]"]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Supervise a job apart; nothing of that outlives the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def supervise(job: JobFolder) -> "subprocess.Popen[bytes]":
        own = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = [*APART, *own, *RUNNER_COMMAND, "supervise", str(job.path)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/"))
        return begun[-1]

    yield supervise
    for process in begun:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_it_is_followed_from_its_start_to_its_end(
    make_job: MakeJob, following: Following, begin: Begin
) -> None:
    job = make_job("import os; print(os.getpid()); raise SystemExit(7)", apart=True)
    following.watch(job)
    process = begin(job)
    word = following.final(job)
    assert (word["reason"], word["exit_code"]) == ("exited", 7)
    # It was one of few processes there.
    assert int(following.bytes_of(job)) < 10
    output, _ = process.communicate()
    assert json.loads(output)["exit_code"] == 7


def test_it_is_supervised_once(make_job: MakeJob, begin: Begin) -> None:
    job = make_job(WAITS, apart=True)
    begin(job)
    job.says("ready")
    second = begin(job)
    second.communicate(timeout=30)
    assert job.log() == b"ready\n"
    assert job.state() == "running"
    job.ask("cancel", "--grace", "0")
    job.last_word()
    begin(job).communicate(timeout=30)
    assert job.log() == b"ready\n"


def test_a_cancel_reaches_it_and_leaves_a_receipt(
    make_job: MakeJob, begin: Begin
) -> None:
    job = make_job(WAITS, apart=True)
    begin(job)
    job.says("ready")
    job.ask("cancel", "--reason", "Enough.")
    word = job.last_word()
    assert word["reason"] == "canceled"
    assert word["receipt"]["left"] == 0
    assert job.state() == "ended"


def test_one_that_is_canceled_before_it_begins_never_does(
    make_job: MakeJob, begin: Begin
) -> None:
    job = make_job(WAITS, apart=True)
    job.ask("cancel", "--reason", "Enough.")
    begin(job).communicate(timeout=30)
    assert job.last_word()["reason"] == "canceled_before_start"
    assert job.log() == b""


def test_the_end_of_its_place_is_seen_and_nobody_else_is_ended(
    make_job: MakeJob, following: Following, begin: Begin
) -> None:
    """Its numbers of processes belong to others here, which must not be touched."""
    job = make_job(WAITS, apart=True)
    following.watch(job)
    process = begin(job)
    job.says("ready")
    eventually(lambda: "child" in job.read("runner.json"), "the script is noted")
    assert job.state() == "running"
    with subprocess.Popen(["sleep", "600"]) as bystander:
        noted = job.read("runner.json")
        mine = {"pid": bystander.pid, "start_time": start_time(bystander.pid)}
        noted["child"] = {**noted["child"], **mine}
        (job.path / "runner.json").write_text(json.dumps(noted))
        process.send_signal(signal.SIGKILL)
        word = following.final(job)
        assert word["reason"] == "lost"
        assert "what the script ran in was ended" in word["detail"]
        assert bystander.poll() is None
        bystander.kill()
    assert job.state() == "ended"


def start_time(pid: int) -> int:
    facts = Path(f"/proc/{pid}/stat").read_bytes()
    return int(facts.rpartition(b")")[2].split()[19])
