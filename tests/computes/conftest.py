"""Jobs for the tests of the runner; none outlives its test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.computes.follower import Following
from tests.computes.jobs import JobFolder

MakeJob = Callable[..., JobFolder]


@pytest.fixture
def jobs_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return folder


@pytest.fixture
def make_job(jobs_folder: Path) -> Iterator[MakeJob]:
    """Stage jobs: `make_job(script, *arguments, grace_seconds=1.0)`."""
    made: list[JobFolder] = []

    def make(script: str, *arguments: str, **spec: Any) -> JobFolder:
        name = spec.pop("name", f"job_{len(made)}")
        made.append(JobFolder(jobs_folder / name, script, *arguments, **spec))
        return made[-1]

    yield make
    for job in made:
        job.end()


@pytest.fixture
def following(jobs_folder: Path) -> Iterator[Following]:
    """A follower of the jobs that `make_job` stages."""
    following = Following(jobs_folder)
    yield following
    following.close()
