"""Environments that are built before a run needs them, on targets of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from computes.models import ComputeTarget
from computes.targets import host_of
from environments.builds import outlook
from environments.definition import Definition
from environments.models import Environment
from environments.services import save_environment
from runs.building_ahead import build_ahead
from runs.models import Run
from runs.run_environment import run_environment
from runs.status import RunStatus
from tests import factories
from tests.environments.wheels import Wheels
from tests.runs.built_images import log_of, remove_built
from tests.services.docker_engine import DockerEngine
from tests.services.monitor import Monitor, take_up
from tests.services.slurm import Slurm
from tests.services.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server", "wheels"),
]


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[Wheels]:
    wheels = Wheels(tmp_path / "wheels")
    # Packages of its own for each test, since all build into one folder.
    wheels.add("tiny", "1.0", code=f"PLACE = {str(tmp_path)!r}")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none", PYTHON_FIND_LINKS=[str(wheels.folder)]
    ):
        yield wheels


def built_ahead(target: ComputeTarget) -> tuple[Run, Run]:
    """The run that builds an environment, and the next one, both to their ends."""
    host = host_of(target)
    target.facts = host.facts()
    target.save()
    environment = save_environment(
        name="tiny", definition=Definition.of_packages("tiny")
    )
    monitor = Monitor()
    monitor.begin(host)
    try:
        runs = [_built(target, environment, monitor) for _ in range(2)]
    finally:
        monitor.stop()
    told = outlook(environment, target)
    assert told
    assert told.is_ready
    return runs[0], runs[1]


def _built(target: ComputeTarget, environment: Environment, monitor: Monitor) -> Run:
    run = build_ahead(environment, target, owner=factories.person())
    run.refresh_from_db()
    take_up(run)
    monitor.wait_for_end(run, timeout=90)
    assert run.status == RunStatus.COMPLETED, run.error
    return run


def expect_one_build(runs: tuple[Run, Run]) -> None:
    first, second = (run_environment(run) for run in runs)
    assert first
    assert second
    assert first.told.seconds
    assert second.told.seconds is None
    assert first.key == second.key
    assert second.build
    assert second.build.state == "ready"
    log = log_of(runs[1])
    assert log.startswith("Python 3.11.")
    assert log_of(runs[0]).endswith(log)


def test_as_a_process() -> None:
    expect_one_build(built_ahead(factories.target()))


def test_over_ssh(tmp_path: Path) -> None:
    with Sshd() as sshd:
        runs = built_ahead(factories.machine(sshd, tmp_path / "far"))
    expect_one_build(runs)


def test_as_an_image(docker_engine: DockerEngine) -> None:
    remove_built(docker_engine.client())
    try:
        runs = built_ahead(factories.docker_target(docker_engine))
        expect_one_build(runs)
    finally:
        remove_built(docker_engine.client())


def test_on_slurm(slurm: Slurm) -> None:
    expect_one_build(built_ahead(factories.cluster(slurm)))
