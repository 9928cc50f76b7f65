"""Secrets of a job: its script has them, and nothing of it keeps them."""

import platform
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from uv import find_uv_bin

from tests.computes.conftest import MakeJob
from tests.computes.follower import Following
from tests.computes.jobs import JobFolder
from tests.environments.wheels import Wheels

SECRET = "tr0ub4dor/&3 and more"
TELLS = """
import base64, os, sys
from urllib.parse import quote
secret = os.environ["TOKEN"]
print("<%s>" % secret, quote(secret, safe=""), flush=True)
sys.stderr.write(base64.b64encode(b"user:" + secret.encode()).decode() + "\\n")
print("found:", [name for name in os.listdir("..") if "secret" in name])
"""
WAITS = """
import os, sys, time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
for letter in os.environ["TOKEN"] + " is it":
    sys.stdout.write(letter)
    sys.stdout.flush()
    time.sleep(0.01)
"""


@pytest.fixture
def make(make_job: MakeJob) -> MakeJob:
    """Make jobs whose script needs a secret, which is given to them."""

    def make(script: str, **spec: Any) -> JobFolder:
        job = make_job(script, secrets=["TOKEN"], **spec)
        job.give_secrets(env={"TOKEN": SECRET})
        return job

    return make


def holding(folder: Path, secret: str = SECRET) -> list[Path]:
    """The files that have the secret in them."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_the_script_has_it_and_the_folder_does_not(make: MakeJob) -> None:
    job = make(TELLS)
    (secrets,) = holding(job.path)
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert job.run()["exit_code"] == 0
    assert job.log().decode().splitlines() == [
        "<***> ***",
        "dXNlcjp***U=",
        "found: []",
    ]
    assert holding(job.path) == []


def test_what_the_runner_says_of_its_log_is_about_the_masked_one(
    make: MakeJob, following: Following
) -> None:
    job = make("import os; print(os.environ['TOKEN'] * 20_000)")
    following.watch(job)
    job.start()
    word = following.final(job)
    assert following.bytes_of(job) == job.log()
    assert word["log"]["bytes"] == len(job.log())
    assert set(job.log()) == set(b"*\n")


def test_output_comes_as_it_is_printed(make: MakeJob) -> None:
    job = make(
        "import time; print('no end of line t', end='', flush=True); time.sleep(9)"
    )
    job.start()
    job.says("no end of line t")


def test_a_script_without_secrets_writes_into_the_log_itself(
    make_job: MakeJob,
) -> None:
    code = "import os; print(os.readlink('/proc/self/fd/1'))"
    job = make_job(code, env={"PYTHONUNBUFFERED": ""})
    job.run()
    assert job.log().decode() == f"{job.path}/logs/std_log.txt\n"


def test_the_log_goes_on_masked_when_the_runner_is_killed(
    make: MakeJob, following: Following
) -> None:
    job = make(WAITS)
    following.watch(job)
    job.start()
    job.says("ready")
    job.kill_supervisor()
    (job.work / "go").touch()
    assert following.final(job)["reason"] == "lost"
    assert job.log() == b"ready\n*** is it"


def test_a_job_without_its_supervisor_is_canceled(make: MakeJob) -> None:
    job = make(WAITS)
    job.start()
    job.says("ready")
    job.kill_supervisor()
    job.ask("cancel", "--grace", "1")
    assert job.last_word()["reason"] == "canceled"


def test_a_cancel_keeps_what_was_printed(make: MakeJob) -> None:
    job = make("import os, time; print(os.environ['TOKEN'], 't'); time.sleep(600)")
    job.start()
    job.says("*** t\n")
    job.ask("cancel", "--grace", "1")
    word = job.last_word()
    assert (word["reason"], word["receipt"]["left"]) == ("canceled", 0)


def test_a_program_that_has_it_as_an_argument_is_not_told_by_that(
    make: MakeJob,
) -> None:
    job = make(
        "import os, subprocess, sys; print('ready', flush=True)\n"
        "subprocess.run([sys.executable, os.environ['TOKEN'] + '.py'])"
    )
    script = "import time; print('and this', flush=True); time.sleep(600)"
    (job.work / "tr0ub4dor").mkdir()
    (job.work / f"{SECRET}.py").write_text(script)
    job.start()
    job.says("and this")
    job.ask("cancel", "--grace", "0")
    names = [each["name"] for each in job.last_word()["receipt"]["processes"]]
    assert any(name.endswith(" ***.py") for name in names), names


def test_a_job_that_never_starts_leaves_nothing(make: MakeJob) -> None:
    job = make(TELLS)
    job.ask("cancel")
    assert job.last_word()["reason"] == "canceled_before_start"
    assert holding(job.path) == []
    # A worker that was late.
    job.give_secrets(env={"TOKEN": SECRET})
    assert holding(job.path) == []


def test_what_a_killed_worker_was_about_to_write_goes_too(make: MakeJob) -> None:
    job = make(TELLS)
    (job.path / "secrets.json.0123").write_text(SECRET)
    job.run()
    assert holding(job.path) == []


def test_a_job_that_was_begun_is_given_none(make: MakeJob) -> None:
    job = make(WAITS)
    job.start()
    job.says("ready")
    job.give_secrets(env={"TOKEN": SECRET})
    assert holding(job.path) == []


def test_however_often_it_is_given_at_the_start_none_is_left(make: MakeJob) -> None:
    """The race of a worker that takes up the submission of another."""
    for _ in range(20):
        job = make("")
        starting = job.launch("supervise")
        begun = job.path / "runner.json"
        for _ in count():
            job.give_secrets(env={"TOKEN": SECRET})
            if begun.exists():
                break
        starting.communicate()
        assert job.last_word()["exit_code"] == 0
        assert holding(job.path) == []


def test_a_script_does_not_start_without_its_secrets(make_job: MakeJob) -> None:
    job = make_job("print('started')", secrets=["TOKEN"])
    word = job.run()
    assert word["reason"] == "start_failed"
    assert word["detail"].endswith("its secrets are not here any more.")
    assert job.log() == b""


def test_secrets_of_several_lines_and_binary_output(make_job: MakeJob) -> None:
    key = "-----BEGIN KEY-----\nQmFzZTY0IQ==\nb3RoZXIgbGk=\n-----END KEY-----\n"
    job = make_job(
        "import os, sys\n"
        "key = os.environ['KEY']\n"
        "for line in key.splitlines(): print('| ' + line)\n"
        "sys.stdout.flush()\n"
        "sys.stdout.buffer.write(bytes(range(256)) + key.encode() + b'\\xff\\x00')",
        secrets=["KEY"],
    )
    job.give_secrets(env={"KEY": key})
    job.run()
    assert job.log() == b"| ***\n" * 4 + bytes(range(256)) + b"***\n\xff\x00"


# Passwords of indexes


PASSWORD = "s3cret/of the index"
SHOWS = """#!/bin/sh
echo "UV_DEFAULT_INDEX=$UV_DEFAULT_INDEX"
printf '  error: no such thing at %s\\n' "$UV_DEFAULT_INDEX"
exit 1
"""


def test_passwords_of_indexes_reach_the_build_alone(
    make_job: MakeJob, jobs_folder: Path, tmp_path: Path
) -> None:
    wheels = Wheels(tmp_path / "wheels")
    address = f"https://ada:{quote(PASSWORD, safe='')}@index.test/simple"
    given = {
        "env": {**wheels.settings, "UV_DEFAULT_INDEX": address},
        "hidden": [PASSWORD],
    }
    prepare = {
        "key": "key",
        "python": ".".join(platform.python_version_tuple()[:2]),
        "lock": wheels.lock(wheels.add("tiny")),
        "uv": find_uv_bin(),
        "keep_bytes": None,
    }
    asks = (
        "import os, tiny; parent = '/proc/%d/' % os.getppid()\n"
        "print('INDEX' in str(os.environ))\n"
        "ends = [parent + 'fd/' + name for name in os.listdir(parent + 'fd')]\n"
        "print([end for end in ends if 'deleted' in os.readlink(end)])"
    )
    python = jobs_folder.parent / "environments/key/bin/python"
    job = make_job(asks, prepare=prepare, argv=[str(python), "train.py"])
    job.give_secrets(build=given)
    job.run()
    assert job.log().decode().splitlines()[-2:] == ["False", "[]"]
    assert holding(job.path, PASSWORD) == []


def test_a_failing_build_tells_no_password(make_job: MakeJob, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text(SHOWS)
    uv.chmod(0o700)
    job = make_job("", prepare={"key": "k2", "python": "3", "lock": "", "uv": str(uv)})
    address = f"https://ada:{quote(PASSWORD, safe='')}@index.test/simple"
    job.give_secrets(build={"env": {"UV_DEFAULT_INDEX": address}, "hidden": [PASSWORD]})
    word = job.run()
    assert word["reason"] == "prepare_failed"
    assert "https://ada:***@index.test" in word["detail"]
    assert "UV_DEFAULT_INDEX=https://ada:***@index.test/simple\n" in job.log().decode()
    for form in (PASSWORD, quote(PASSWORD, safe="")):
        assert holding(job.path, form) == []
