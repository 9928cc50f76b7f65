"""Jobs that do nothing are ended where they have an idle limit, and no others."""

import os
from pathlib import Path

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.jobs import JobFolder, write_program

# As long as the first samples are taken: once a second.
LIMIT = 1.5
SLEEPS = "import time; time.sleep(600)"
SLEEPS_A_WHILE = "import time; time.sleep(3)"


def test_a_job_that_does_nothing_is_ended(make_job: MakeJob) -> None:
    job = make_job(f"print('ready', flush=True); {SLEEPS}", idle_limit_seconds=LIMIT)
    word = job.run()
    assert (word["reason"], word["signal"]) == ("idle", 15)
    assert word["idle_seconds"] == LIMIT
    assert (len(word["receipt"]["processes"]), word["receipt"]["left"]) == (1, 0)
    assert job.log() == b"ready\n"


def test_without_a_limit_a_job_may_do_nothing(make_job: MakeJob) -> None:
    word = make_job(SLEEPS_A_WHILE).run()
    assert (word["reason"], word["exit_code"]) == ("exited", 0)
    assert "idle_seconds" not in word


@pytest.mark.parametrize(
    "code",
    [
        "import time\nfor n in range(6):\n    print(n, flush=True); time.sleep(0.5)",
        "import time\nend = time.time() + 3\nwhile time.time() < end: sum(range(99))",
    ],
    ids=["prints", "computes"],
)
def test_a_job_that_does_something_is_left_alone(make_job: MakeJob, code: str) -> None:
    word = make_job(code, idle_limit_seconds=LIMIT).run()
    assert (word["reason"], word["exit_code"]) == ("exited", 0)


def run_with_gpu(job: JobFolder, programs: Path, percent: int) -> str:
    """The reason of its end beside a GPU, its second one, that is at so many %."""
    programs.mkdir(exist_ok=True)
    lines = f"0, NVIDIA A100, 0, 1, 9\n1, NVIDIA A100, {percent}, 1, 9"
    write_program(programs / "nvidia-smi", f"#!/bin/sh\necho '{lines}'")
    path = f"{programs}:{os.environ['PATH']}"
    return str(job.run(env={**os.environ, "PATH": path})["reason"])


@pytest.mark.parametrize(
    ("percent", "visible", "reason"),
    [(35, "1", "exited"), (0, "1", "idle"), (35, "0", "idle")],
)
def test_a_job_that_uses_its_gpu_is_left_alone(
    make_job: MakeJob, tmp_path: Path, percent: int, visible: str, reason: str
) -> None:
    """And those of others do not count, where the job is given some."""
    env = {"CUDA_VISIBLE_DEVICES": visible}
    job = make_job(SLEEPS_A_WHILE, env=env, idle_limit_seconds=LIMIT)
    assert run_with_gpu(job, tmp_path / "programs", percent) == reason
