"""`runner cancel` and a maximum duration: nothing is left, and a receipt says so."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from computes.runner import RUNNER
from tests.computes.conftest import MakeJob
from tests.computes.jobs import JobFolder, is_alive
from tests.waiting import eventually

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
ENDS_AT_SIGTERM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(600)
"""
# Children in the script's session, in their own, and forked twice into the void.
DAEMONS = """
import os, time
def note():
    os.write(pids, b"%d\\n" % os.getpid())
pids = os.open("../pids", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
note()
if os.fork() == 0:
    note()
    time.sleep(600)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            for stream in range(3):
                os.close(stream)
            os.environ.clear()
            note()
            time.sleep(600)
        os._exit(0)
    os.wait()
while len(open("../pids").readlines()) < 4:
    time.sleep(0.01)
os.write(1, b"ready")
"""


def start(job: JobFolder) -> JobFolder:
    job.start()
    job.says("ready")
    return job


def signals(word: dict[str, Any]) -> list[list[str]]:
    """The signals that each process of the receipt got, in order."""
    return [
        [each["signal"] for each in process["signals"]]
        for process in word["receipt"]["processes"]
    ]


def assert_receipt_is_sound(word: dict[str, Any]) -> None:
    receipt = word["receipt"]
    assert receipt["left"] == 0
    for process in receipt["processes"]:
        assert not is_alive(process["pid"])
        assert process["name"]
        times = [each["time"] for each in process["signals"]]
        assert receipt["asked"] <= times[0] <= times[-1] <= process["ended"]
        assert process["ended"] <= word["ended"]


def test_a_canceled_script_gets_sigterm_and_may_say_goodbye(make_job: MakeJob) -> None:
    job = start(make_job(ENDS_AT_SIGTERM))
    job.ask("cancel", "--reason", "Canceled by a test.")
    word = job.last_word()
    assert (word["reason"], word["exit_code"]) == ("canceled", 7)
    assert signals(word) == [["SIGTERM"]]
    assert_receipt_is_sound(word)


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace_period(
    make_job: MakeJob,
) -> None:
    job = start(make_job(IGNORES_SIGTERM))
    job.ask("cancel", "--grace", "0.5")
    word = job.last_word()
    assert (word["reason"], word["signal"]) == ("canceled", 9)
    assert signals(word) == [["SIGTERM", "SIGKILL"]]
    first, second = word["receipt"]["processes"][0]["signals"]
    assert second["time"] - first["time"] >= 0.45
    assert word["receipt"]["grace_seconds"] == 0.5
    assert_receipt_is_sound(word)


def test_the_grace_period_of_the_run_holds_if_none_is_given(make_job: MakeJob) -> None:
    job = start(make_job(IGNORES_SIGTERM, grace_seconds=0.25))
    job.ask("cancel")
    assert job.last_word()["receipt"]["grace_seconds"] == 0.25


def test_without_a_grace_period_the_script_is_killed_at_once(
    make_job: MakeJob,
) -> None:
    job = start(make_job(ENDS_AT_SIGTERM))
    job.ask("cancel", "--grace", "0")
    word = job.last_word()
    assert word["signal"] == 9
    assert signals(word) == [["SIGKILL"]]


def test_daemons_are_ended_with_the_script_and_named_in_the_receipt(
    make_job: MakeJob,
) -> None:
    job = start(make_job(DAEMONS + "time.sleep(600)"))
    pids = {int(line) for line in (job.path / "pids").read_text().split()}
    job.ask("cancel")
    word = job.last_word()
    assert {process["pid"] for process in word["receipt"]["processes"]} == pids
    assert signals(word) == [["SIGTERM"]] * 4
    assert not any(is_alive(pid) for pid in pids)
    assert_receipt_is_sound(word)


def test_daemons_do_not_outlive_the_end_of_their_script(make_job: MakeJob) -> None:
    job = make_job(DAEMONS)
    word = job.run()
    assert (word["reason"], word["exit_code"]) == ("exited", 0)
    assert len(word["receipt"]["processes"]) == 3
    assert_receipt_is_sound(word)


def test_a_stopped_process_ends_as_well(make_job: MakeJob) -> None:
    job = start(
        make_job(
            "import os, signal; os.write(1, b'ready');"
            "os.kill(os.getpid(), signal.SIGSTOP)"
        )
    )
    job.ask("cancel")
    word = job.last_word()
    assert word["signal"] == 15
    assert signals(word) == [["SIGTERM"]]


def test_processes_that_keep_forking_are_all_killed(make_job: MakeJob) -> None:
    """Each ignores SIGTERM and forks on; at most 200 ever, for the machine's sake."""
    job = start(
        make_job("""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
pids = os.open("../pids", os.O_RDWR | os.O_CREAT | os.O_APPEND)
while True:
    if os.fstat(pids).st_size < 200 and os.fork() == 0:
        os.write(pids, b"x")
        if os.fstat(pids).st_size > 20:
            os.write(1, b"ready")
        os.setsid()
    time.sleep(0.01)
""")
    )
    job.ask("cancel", "--grace", "0.2")
    word = job.last_word()
    assert len(word["receipt"]["processes"]) > 20
    assert_receipt_is_sound(word)
    assert not left_in(job)


def test_a_python_without_pidfd_cancels_as_well(make_job: MakeJob) -> None:
    """As before Python 3.9, or where the system forbids it."""
    code = (
        "import os, runpy, sys; del os.pidfd_open; del sys.argv[0];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    job = make_job(IGNORES_SIGTERM)
    command = [sys.executable, "-I", "-S", "-c", code, str(RUNNER.parent), "start"]
    subprocess.run([*command, str(job.path)], check=True, capture_output=True)
    job.says("ready")
    job.ask("cancel", "--grace", "0.2")
    word = job.last_word()
    assert signals(word) == [["SIGTERM", "SIGKILL"]]
    assert_receipt_is_sound(word)


def left_in(job: JobFolder) -> list[str]:
    """The processes that work in the folder of the job."""
    found = []
    for folder in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if folder.readlink() == job.work:
                found.append(folder.parent.name)
        except OSError:
            continue
    return found


def test_a_cancel_before_the_start_prevents_it(make_job: MakeJob) -> None:
    job = make_job("open('../ran', 'w')")
    job.ask("cancel", "--reason", "Changed my mind.")
    word = job.read("exit.json")
    assert word["reason"] == "canceled_before_start"
    assert word["detail"] == "Changed my mind."
    assert word["receipt"] is None
    job.start()
    assert job.state() == "ended"
    assert job.read("exit.json") == word
    assert not (job.path / "ran").exists()
    assert job.events() == []


def test_a_job_that_was_started_is_not_prevented(make_job: MakeJob) -> None:
    job = make_job("print('done')")
    job.start()
    job.ask("prevent", "--word", "prepare_failed")
    assert job.last_word()["reason"] == "exited"


def test_a_cancel_before_the_job_is_staged_prevents_its_start(
    make_job: MakeJob,
) -> None:
    job = make_job("")
    spec = (job.path / "job.json").read_bytes()
    job.ask("clean")
    assert job.state() == "absent"
    job.ask("cancel")
    (job.path / "job.json").write_bytes(spec)
    job.start()
    assert job.read("exit.json")["reason"] == "canceled_before_start"


@pytest.mark.parametrize("head_start", [0.0, 0.02, 0.04, 0.06, 0.08])
def test_a_cancel_during_the_start_ends_the_job_either_way(
    make_job: MakeJob, head_start: float
) -> None:
    """Whichever comes first, the end is a cancel, and the script lives no longer."""
    job = make_job(SLEEPS)
    start = job.launch("start")
    time.sleep(head_start)
    job.ask("cancel")
    start.communicate(timeout=60)
    word = job.last_word()
    assert word["reason"] in ("canceled", "canceled_before_start")
    assert ("started" in job.events()) == (word["reason"] == "canceled")
    eventually(lambda: job.state() == "ended", "the job has ended")
    assert not left_in(job)


def test_a_second_cancel_changes_nothing(make_job: MakeJob) -> None:
    job = start(make_job(IGNORES_SIGTERM))
    job.ask("cancel", "--grace", "0.5", "--reason", "first")
    job.ask("cancel", "--grace", "600", "--reason", "second")
    word = job.last_word()
    assert word["receipt"]["grace_seconds"] == 0.5
    assert job.events().count("ending") == 1


def test_a_cancel_after_the_end_changes_nothing(make_job: MakeJob) -> None:
    job = make_job("print('done')")
    word = job.run()
    events = job.events()
    job.ask("cancel")
    job.ask("cancel")
    assert job.read("exit.json") == word
    assert job.events() == events
    assert not (job.path / "cancel.json").exists()


def test_a_job_can_be_canceled_on_a_full_disk(make_job: MakeJob) -> None:
    """The request can't be written down then."""

    def no_room() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))

    job = start(make_job(ENDS_AT_SIGTERM))
    job.ask("cancel", "--grace", "1", preexec_fn=no_room)
    word = job.last_word()
    assert (word["reason"], word["exit_code"]) == ("canceled", 7)
    assert not list(job.path.glob("cancel.json*"))


def test_a_run_that_exceeds_its_duration_is_ended(make_job: MakeJob) -> None:
    job = make_job(IGNORES_SIGTERM, max_duration_seconds=0.5, grace_seconds=0.2)
    word = job.run()
    assert (word["reason"], word["signal"]) == ("max_duration", 9)
    assert signals(word) == [["SIGTERM", "SIGKILL"]]
    assert word["ended"] - word["started"] >= 0.5


def test_a_run_within_its_duration_is_left_alone(make_job: MakeJob) -> None:
    word = make_job("print('done')", max_duration_seconds=600).run()
    assert word["reason"] == "exited"


def test_a_supervisor_that_is_told_to_end_ends_the_script_first(
    make_job: MakeJob,
) -> None:
    """As it happens when the machine shuts down."""
    job = start(make_job(ENDS_AT_SIGTERM))
    os.kill(job.supervisor(), signal.SIGTERM)
    word = job.last_word()
    assert (word["reason"], word["exit_code"]) == ("host_signal", 7)
    assert_receipt_is_sound(word)


def test_arguments_of_ended_processes_are_no_part_of_the_receipt(
    make_job: MakeJob,
) -> None:
    """They may hold secrets."""
    job = start(make_job(SLEEPS, "--password=geheim", "geheim"))
    job.ask("cancel")
    word = job.last_word()
    [process] = word["receipt"]["processes"]
    assert process["name"].endswith("train.py")
    assert "geheim" not in str(word)
