"""GPUs of a machine over SSH: looked at there, and told to the scripts."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from computes.models import ComputeTarget
from computes.services import check_target
from computes.targets import host_of
from runs import execution, tasks
from runs.mirror import log_path
from runs.models import Run
from runs.waiting import why_waiting
from tests import factories
from tests.services.monitor import Monitor
from tests.services.nvidia_smi import NvidiaSmi, uuid
from tests.services.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
TELLS = """
import os
print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER"))
"""


@pytest.fixture
def smi(tmp_path: Path) -> NvidiaSmi:
    return NvidiaSmi(tmp_path / "smi")


@pytest.fixture
def target(smi: NvidiaSmi, tmp_path: Path) -> Iterator[ComputeTarget]:
    smi.has(3)
    with Sshd(SetEnv=f"PATH={smi.path}") as sshd:
        target = factories.machine(sshd, tmp_path / "far", max_runs=9)
        tasks.look_at_gpus(target.pk)
        target.refresh_from_db()
        yield target


@pytest.fixture
def monitor(target: ComputeTarget) -> Iterator[Monitor]:
    monitor = Monitor()
    monitor.begin(host_of(target))
    yield monitor
    monitor.stop()


def submit(target: ComputeTarget, gpus: int) -> Run:
    return factories.submit(TELLS, target=target, gpus=gpus)


def test_scripts_are_told_which_they_have(
    monitor: Monitor, target: ComputeTarget
) -> None:
    runs = [submit(target, count) for count in (2, 1, 0)]
    for run in runs:
        execution.start_run(run.pk)
        monitor.wait_for_end(run)
    told = [log_path(run.run_id).read_text().strip() for run in runs]
    # The first two have ended, one by one, when the third begins: it sees none.
    assert told == ["0,1 PCI_BUS_ID", "2 PCI_BUS_ID", "PCI_BUS_ID"]


def test_another_account_at_work_there_is_seen(
    smi: NvidiaSmi, target: ComputeTarget
) -> None:
    with subprocess.Popen(["sleep", "600"], user="nobody") as anna:
        smi.runs(f"{uuid(0)}, {anna.pid}, 12000", f"{uuid(2)}, {os.getpid()}, 500")
        tasks.look_at_gpus(target.pk)
        run = submit(target, 2)
        said = why_waiting(Run.objects.get(pk=run.pk))
        anna.kill()
    assert "1 of 3 is free for it; GPU 0 is in use by nobody (13 GB)" in said


def test_a_check_finds_the_gpus(target: ComputeTarget) -> None:
    ComputeTarget.objects.update(gpu_look={}, gpus_seen_at=None)
    check_target(ComputeTarget.objects.get(pk=target.pk))
    target.refresh_from_db()
    assert [gpu.index for gpu in target.gpus] == [0, 1, 2]
    (found,) = [each for each in target.checks if each["name"] == "GPUs"]
    assert found["detail"] == "3 of NVIDIA A100-SXM4-40GB"
