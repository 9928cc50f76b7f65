"""Runs on a Slurm cluster: as elsewhere, and what Slurm says of them in words."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from computes.checks import Checks
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs import execution, services, sights
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.monitor import Monitor, job_folder, placed, started, states
from tests.services.slurm import Slurm
from tests.services.sshd import Sshd
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
SHOW = """
import os
print(os.environ["SLURM_JOB_NAME"], os.environ["SLURM_JOB_PARTITION"])
print(os.environ.get("CUDA_VISIBLE_DEVICES", "no GPU"))
open("outputs/result.txt", "w").write("42")
"""
WAITS = "import time\nprint('ready', flush=True)\ntime.sleep(600)"


@pytest.fixture
def target(slurm: Slurm) -> ComputeTarget:
    return factories.cluster(slurm)


def seen(run: Run) -> str:
    """What is shown of a run after another look."""
    sights.look(run.target)
    run.refresh_from_db()
    return run.sight


def job_name(run: Run) -> str:
    return f"aml-{run.run_id}"


def test_a_run_goes_its_way(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(SHOW, target=target)
    monitor.wait_for_end(run)
    assert states(run) == [
        *("Queued", "Preparing", "Starting", "Running", "Finalizing", "Completed")
    ]
    assert log_path(run.run_id).read_text() == f"aml-{run.run_id} cpu\nno GPU\n"
    output = log_path(run.run_id).parent.parent / "files/outputs/result.txt"
    assert output.read_text() == "42"
    eventually(lambda: slurm.jobs(job_name(run)) == ["COMPLETED"], "Slurm knows")
    execution.clean_run(run.pk)
    assert not job_folder(run).exists()


def test_its_exit_code_is_the_scripts_own(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started("raise SystemExit(81)", target=target)
    monitor.wait_for_end(run)
    execution.clean_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.exit_code) == (RunStatus.FAILED, 81)
    assert run.error == "The script ended with exit code 81."
    assert slurm.jobs(job_name(run)) == ["FAILED"]
