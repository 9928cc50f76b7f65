"""`runner start`: the script runs at most once, with what it was given."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.jobs import (
    JobFolder,
    is_alive,
    write_program,
)
from tests.waiting import eventually

# Says that it ran in a file that only grows.
MARKS = """
import os, time
os.write(os.open("../ran", os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"x")
"""


def times_run(job: JobFolder) -> int:
    path = job.path / "ran"
    return path.stat().st_size if path.exists() else 0


def test_start_answers_with_the_handle_of_the_supervisor(make_job: MakeJob) -> None:
    job = make_job("import time; time.sleep(60)")
    handle = job.start()
    assert is_alive(handle["pid"])
    assert handle["start_time"] and handle["boot_id"]
    assert job.state() == "running"


def test_a_second_start_changes_nothing(make_job: MakeJob) -> None:
    job = make_job(MARKS + "time.sleep(0.3)")
    first = job.start()
    again = job.start()
    assert (again["pid"], again["start_time"]) == (first["pid"], first["start_time"])
    job.last_word()
    job.start()
    assert times_run(job) == 1
    assert job.events().count("started") == 1


def test_starts_at_the_same_moment_run_the_script_once(make_job: MakeJob) -> None:
    job = make_job(MARKS)
    starts = [job.launch("start") for _ in range(8)]
    answers = [json.loads(start.communicate(timeout=60)[0]) for start in starts]
    assert len({answer["pid"] for answer in answers}) == 1
    job.last_word()
    assert times_run(job) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_start_that_is_killed_and_repeated_runs_the_script_once(
    make_job: MakeJob, seed: int
) -> None:
    """Killed alone, or with all that it may have left behind by then."""
    rnd = random.Random(seed)
    for _ in range(8):
        job = make_job(MARKS)
        start = job.launch("start")
        time.sleep(rnd.uniform(0, 0.1))
        start.kill()
        if rnd.random() < 0.7:
            kill_runners(job)
        start.communicate()
        announced = (job.path / "runner.json").exists()
        job.start()
        wait_until_not_running(job)
        assert times_run(job) <= 1
        # A supervisor that was announced is never replaced; any other is.
        assert times_run(job) == 1 or (announced and job.state() == "lost")


def wait_until_not_running(job: JobFolder) -> None:
    eventually(lambda: job.state() != "running", "the script has ended")


def kill_runners(job: JobFolder) -> None:
    """Kill every process of the runner that has to do with this job."""
    command = "\0".join(job.command("start")).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if command in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)


@pytest.mark.parametrize(
    ("script", "reason", "exit_code", "number"),
    [
        ("pass", "exited", 0, None),
        ("raise SystemExit(3)", "exited", 3, None),
        ("raise SystemExit(255)", "exited", 255, None),
        ("raise ValueError", "exited", 1, None),
        ("import os; os.kill(os.getpid(), 9)", "signaled", None, signal.SIGKILL),
        ("import os; os.abort()", "signaled", None, signal.SIGABRT),
    ],
)
def test_the_last_word_says_how_the_script_ended(
    make_job: MakeJob,
    script: str,
    reason: str,
    exit_code: int | None,
    number: int | None,
) -> None:
    job = make_job(script)
    word = job.run()
    assert (word["reason"], word["exit_code"], word["signal"]) == (
        reason,
        exit_code,
        number,
    )
    assert word["receipt"] is None
    assert word["started"] <= word["ended"]
    assert job.events() == ["supervising", "started", "exited"]
    assert job.state() == "ended"


def test_an_interpreter_that_does_not_exist_is_a_failed_start(
    make_job: MakeJob,
) -> None:
    job = make_job("", argv=["/nowhere/python", "train.py"])
    word = job.run()
    assert word["reason"] == "start_failed"
    assert word["detail"] == (
        "/nowhere/python can't be started: No such file or directory."
    )
    assert job.events() == ["supervising", "start_failed"]


def test_a_program_that_may_not_be_executed_is_a_failed_start(
    make_job: MakeJob, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    word = make_job("", argv=[str(program)]).run()
    assert word["reason"] == "start_failed"
    assert word["detail"] == f"{program} can't be started: Permission denied."


def test_a_program_of_no_known_format_is_a_failed_start(
    make_job: MakeJob, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "program", "neither a binary nor a #! line")
    word = make_job("", argv=[str(program)]).run()
    assert word["reason"] == "start_failed"
    assert "Exec format error" in word["detail"]


def test_a_missing_working_folder_is_a_failed_start(make_job: MakeJob) -> None:
    word = make_job("", cwd="elsewhere", collect=[]).run()
    assert word["reason"] == "start_failed"
    assert word["detail"] == "The working folder of the job is missing."


def test_a_job_that_was_never_staged_is_refused(make_job: MakeJob) -> None:
    job = make_job("")
    (job.path / "job.json").unlink()
    assert "There is no job.json in" in job.refusal("start")


ODD_ARGUMENTS = [
    "",
    " ",
    "two words",
    "'single' \"double\" \\",
    "new\nline\r\ttab",
    "; rm -rf ~",
    "`touch ../hurt`",
    "$(touch ../hurt)",
    "${HOME} $HOME %PATH% !! *",
    "& | > ../hurt < &&",
    "--flag=-1",
    "日本語 🚀 é",
    "\x01\x7f",
]


def test_arguments_reach_the_script_as_they_are(make_job: MakeJob) -> None:
    job = make_job("import json, sys; print(json.dumps(sys.argv[1:]))", *ODD_ARGUMENTS)
    job.run()
    assert json.loads(job.log()) == ODD_ARGUMENTS
    assert not (job.path / "hurt").exists()


def test_arguments_that_are_no_utf8_reach_the_script(make_job: MakeJob) -> None:
    name = os.fsdecode(b"caf\xe9")
    job = make_job("import os, sys; os.write(1, os.fsencode(sys.argv[1]))", name)
    job.run()
    assert job.log() == b"caf\xe9"


def test_an_argument_with_a_nul_is_a_failed_start(make_job: MakeJob) -> None:
    word = make_job("", "a\0b").run()
    assert word["reason"] == "start_failed"


def test_variables_of_the_run_are_set(make_job: MakeJob) -> None:
    job = make_job(
        "import json, os; print(json.dumps(dict(os.environ)))",
        env={"ODD": "$(x) `y`\n'z'", "HOME": "/overridden"},
    )
    job.run(env={**os.environ, "KEPT": "as it was", "PYTHONUNBUFFERED": ""})
    seen = json.loads(job.log())
    assert seen["ODD"] == "$(x) `y`\n'z'"
    assert seen["HOME"] == "/overridden"
    assert seen["KEPT"] == "as it was"
    assert seen["PYTHONUNBUFFERED"] == "1"


def test_what_is_printed_is_in_the_log_at_once(make_job: MakeJob) -> None:
    job = make_job("print('no newline', end=''); import time; time.sleep(60)")
    job.start()
    job.says("no newline")


def test_the_script_starts_with_a_clean_slate(make_job: MakeJob) -> None:
    """Own session, no input, no handles of the runner, no signals ignored."""
    job = make_job("""
import json, os, signal, sys
print(json.dumps({
    "leads": os.getsid(0) == os.getpid(),
    "input": sys.stdin.read(),
    "handles": sorted(map(int, os.listdir("/proc/self/fd"))),
    "ignored": [n for n in range(1, 32) if n not in (9, 13, 19, 25)
                and signal.getsignal(n) == signal.SIG_IGN],
    "folder": os.getcwd(),
    "made": sorted(os.listdir(".")),
}))
""")
    job.run()
    seen = json.loads(job.log())
    assert seen["leads"]
    assert seen["input"] == ""
    assert [number for number in seen["handles"] if number > 3] == []
    assert seen["ignored"] == []
    assert Path(seen["folder"]) == job.work
    assert seen["made"] == ["logs", "outputs", "train.py"]


def test_the_supervisor_outlives_its_caller(make_job: MakeJob) -> None:
    """Neither the caller's end, nor its session's, nor its closed streams matter."""
    job = make_job("import time; time.sleep(0.5); print('done')")
    code = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    command = [sys.executable, "-c", code, *job.command("start")]
    caller = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, start_new_session=True
    )
    eventually((job.path / "runner.json").exists, "the supervisor is there")
    os.killpg(caller.pid, signal.SIGKILL)
    caller.wait()
    assert job.last_word()["exit_code"] == 0
    assert job.log() == b"done\n"


def test_the_runner_has_nothing_to_complain_about(make_job: MakeJob) -> None:
    job = make_job("print('fine')")
    job.run()
    eventually(lambda: not is_alive(job.supervisor()), "the supervisor has gone")
    assert (job.path / "runner.log").read_text() == ""
    kept = sorted(path.name for path in job.path.iterdir())
    assert kept == [
        "events.jsonl",
        "exit.json",
        "job.json",
        "logs",
        "reserve",
        "runner.json",
        "runner.lock",
        "runner.log",
        "work",
    ]
