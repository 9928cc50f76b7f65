"""Environments of runs on Slurm: built on a node, for all that share the folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from environments.definition import Definition
from environments.services import save_environment
from runs.mirror import log_path
from runs.status import RunStatus
from tests import factories
from tests.environments.wheels import Wheels
from tests.services.monitor import Monitor, started
from tests.services.slurm import CPUS, NODES, Slurm

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
SHOW = "import os, tiny; print(os.environ['SLURMD_NODENAME'], tiny.VERSION)"


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[Wheels]:
    wheels = Wheels(tmp_path / "wheels")
    # Packages of its own, since all tests build into one folder.
    wheels.add("tiny", "1.5", code=f"PLACE = {str(tmp_path)!r}")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none", PYTHON_FIND_LINKS=[str(wheels.folder)]
    ):
        yield wheels


def test_two_nodes_that_need_the_same_build_it_once(
    monitor: Monitor, slurm: Slurm, wheels: Wheels
) -> None:
    target = factories.cluster(slurm)
    needed = save_environment(name="tiny", definition=Definition.of_packages("tiny"))
    # Each of them takes a whole node.
    launch = {"cpus": CPUS}
    runs = [
        started(SHOW, target=target, environment=needed, launch=launch) for _ in NODES
    ]
    for run in runs:
        monitor.wait_for_end(run)
        assert run.status == RunStatus.COMPLETED, run.error
    said = [log_path(run.run_id).read_text().splitlines()[-1] for run in runs]
    assert {*said} == {f"{node} 1.5" for node in NODES}
    built = [
        run
        for run in runs
        if run.events.filter(detail__startswith="Its environment was built").exists()
    ]
    assert len(built) == 1
