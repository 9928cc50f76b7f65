"""Programs that the portal runs: they end in time, and with who wanted them."""

import os
from pathlib import Path
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from environments.programs import ProgramTimeout, run_program
from tests.computes.jobs import is_alive
from tests.waiting import eventually

_SLEEPS = "sleep 600 & echo $! > child; echo $$ > own; wait"


def run(folder: Path, script: str, *, seconds: float = 60) -> tuple[int, bytes, bytes]:
    return run_program(
        ["/bin/sh", "-c", script],
        folder=folder,
        environment={"PATH": os.defpath},
        seconds=seconds,
        given=b"given",
    )


def test_what_it_says_comes_back(tmp_path: Path) -> None:
    script = "cat; echo beside >&2; exit 3"
    assert run(tmp_path, script) == (3, b"given", b"beside\n")


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    with pytest.raises(ProgramTimeout):
        run(tmp_path, _SLEEPS, seconds=0.5)
    all_are_gone(tmp_path)


def test_one_whose_job_has_no_time_left_is_not_waited_for(tmp_path: Path) -> None:
    limit: Any = UnixSignalDeathPenalty
    with pytest.raises(JobTimeoutException), limit(1, JobTimeoutException):
        run(tmp_path, _SLEEPS)
    all_are_gone(tmp_path)


def all_are_gone(folder: Path) -> None:
    pids = [int((folder / name).read_text()) for name in ("own", "child")]
    eventually(lambda: not any(map(is_alive, pids)), "both are gone")
