"""What lives of jobs is found, and ended, whatever became of their folders."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from computes.runner.runner import Job, living
from tests.computes.conftest import MakeJob
from tests.computes.jobs import JobFolder, is_alive
from tests.waiting import eventually

SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
Strays = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def stray() -> Iterator[Strays]:
    """Start processes with a mark that nobody's child is, as `at` and services are."""
    started: list[subprocess.Popen[bytes]] = []

    def start(mark: str) -> "subprocess.Popen[bytes]":
        env = {**os.environ, "AML_JOB_MARK": mark}
        started.append(subprocess.Popen(["sleep", "600"], env=env))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def found(jobs: Path, name: str) -> dict[str, Any]:
    """What is found of a job; other tests may be at work."""
    value: dict[str, Any] = living(Job(str(jobs))).get(name, {})
    return value


def pids(jobs: Path, name: str) -> set[int]:
    return {each["pid"] for each in found(jobs, name).get("processes", ())}


def test_all_processes_of_a_job_are_told(make_job: MakeJob, jobs_folder: Path) -> None:
    code = f"import os\nif os.fork() == 0:\n    os.setsid()\n{SLEEPS}"
    job = make_job(code, portal="ours", name="told_1")
    job.start()
    job.says("ready\nready")
    said = found(jobs_folder, "told_1")
    assert said["portal"] == "ours"
    assert len(said["processes"]) == 2
    for each in said["processes"]:
        assert each["name"].endswith("python train.py") or "train.py" in each["name"]
        assert abs(each["since"] - time.time()) < 60
        assert each["memory_bytes"] > 1 << 20
    job.ask("end_living", "--grace", "0", "--reason", "Enough.")
    assert job.last_word()["reason"] == "canceled"
    assert found(jobs_folder, "told_1") == {}


def test_what_outlived_its_job_is_told_and_ended(
    make_job: MakeJob, jobs_folder: Path, stray: Strays
) -> None:
    job = make_job("print('done')", portal="ours", name="outlived_1")
    job.run()
    process = stray(job.read("runner.json")["mark"])
    word = job.read("exit.json")
    assert pids(jobs_folder, "outlived_1") == {process.pid}
    job.ask("end_living", "--grace", "5")
    assert process.wait(10) == -15
    assert job.read("exit.json") == word


def test_a_job_without_a_folder_is_known_all_the_same(
    make_job: MakeJob, jobs_folder: Path, stray: Strays
) -> None:
    job = make_job("print('done')", portal="ours", name="removed_1")
    job.run()
    mark = job.read("runner.json")["mark"]
    eventually(lambda: not is_alive(job.supervisor()), "the supervisor has gone")
    shutil.rmtree(job.path)
    process, other = stray(mark), stray(mark.replace("removed_1", "removed_2"))
    assert pids(jobs_folder, "removed_1") == {process.pid}
    job.ask("end_living", "--grace", "5")
    process.wait(10)
    assert other.poll() is None
    assert not job.path.exists()


def test_one_that_does_not_listen_is_killed(
    make_job: MakeJob, jobs_folder: Path
) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPS
    job = make_job(code, name="deaf_1")
    job.start()
    job.says("ready")
    job.kill_supervisor()
    assert len(pids(jobs_folder, "deaf_1")) == 1
    job.ask("end_living", "--grace", "0.2")
    eventually(lambda: not pids(jobs_folder, "deaf_1"), "it is killed")


def test_a_job_in_a_container_is_left_to_who_started_it(
    make_job: MakeJob, jobs_folder: Path, stray: Strays
) -> None:
    job: JobFolder = make_job("print('done')", name="apart_1", apart=True)
    job.ask("supervise")
    stray(job.read("runner.json")["mark"])
    assert found(jobs_folder, "apart_1") == {}


@pytest.mark.parametrize("name", ["../elsewhere", "..", "."])
def test_a_name_that_leads_elsewhere_is_none(
    jobs_folder: Path, stray: Strays, name: str
) -> None:
    stray(f"ours:{name}:made-up")
    assert found(jobs_folder, name) == {}
