"""Runs on a Slurm cluster: as elsewhere, and what Slurm says of them in words."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from aml_portal.errors import TargetError
from computes.checks import Checks
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs import execution, services, sights
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.monitor import Monitor, following, job_folder, started, states
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
    eventually(lambda: slurm.jobs(job_name(run)) == ["FAILED"], "Slurm knows")


def test_a_run_gets_what_it_asks_for(slurm: Slurm) -> None:
    target = factories.cluster(slurm, memory="300M", cpus=1, extra="--nice=7")
    chosen = {"nodes": 2, "cpus": 64, "memory": "1G", "time": "1-02:00:00"}
    run = started(SHOW, target=target, launch=chosen)
    told = slurm.must("scontrol", "show", "job", "-o", slurm.ids(job_name(run))[0])
    for words in (
        "CPUs/Task=64",
        "MinMemoryNode=1G",
        "NumNodes=2-2",
        "TimeLimit=1-02:00:00",
        "Nice=7",
        "Comment=aml-portal:",
        "Requeue=0",
    ):
        assert words in told


def test_the_maximum_duration_is_the_time_limit_as_far_as_the_partition_allows(
    target: ComputeTarget, slurm: Slurm
) -> None:
    for partition, limit in (("cpu", "1-00:03:00"), ("gpu,cpu", "01:00:00")):
        run = started(
            SHOW,
            target=target,
            launch={"partition": partition},
            max_run_duration_seconds=86400,
        )
        told = slurm.must("scontrol", "show", "job", "-o", slurm.ids(job_name(run))[0])
        assert f" TimeLimit={limit} " in told


def test_gpus_are_those_that_slurm_gives(monitor: Monitor, slurm: Slurm) -> None:
    target = factories.cluster(slurm, partition="gpu", gpus=2)
    for asked, given in ((0, "0,1"), (1, "0")):
        run = started(SHOW, target=target, gpus=asked)
        monitor.wait_for_end(run)
        assert log_path(run.run_id).read_text().endswith(f" gpu\n{given}\n")


def test_why_a_run_waits_and_until_when_is_told(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    first = started(WAITS, target=target, launch={"nodes": 2, "cpus": 4, "time": "30"})
    monitor.wait_for(first, RunStatus.RUNNING)
    assert seen(first) == "Running on n[1-2]."
    second = started(SHOW, target=target, launch={"cpus": 4})
    eventually(lambda: "estimated" in seen(second), "Slurm knows when it may start")
    begin = timezone.localtime() + timedelta(minutes=30)
    assert second.sight.startswith("Pending: ")
    minutes = [begin + timedelta(minutes=late) for late in (-1, 0, 1)]
    assert any(second.sight.endswith(f" {each:%H:%M}.") for each in minutes)


def test_a_run_that_asks_for_too_much_waits_with_the_reason(
    target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(SHOW, target=target, launch={"cpus": 64})
    eventually(lambda: "more than any node" in seen(run), "Slurm says why")
    assert run.status == RunStatus.STARTING
    assert run.sight == (
        "Pending: it asks for more than any node of the partition has, or than the"
        " partition allows (PartitionConfig)."
    )


def test_a_canceled_run_that_waits_leaves_nothing(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(SHOW, target=target, launch={"cpus": 64})
    assert slurm.jobs(job_name(run)) == ["PENDING"]
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    execution.clean_run(run.pk)
    assert (run.status, run.end_reason) == (RunStatus.CANCELED, EndReason.CANCELED)
    assert slurm.jobs(job_name(run)) == ["CANCELLED"]
    assert not job_folder(run).exists()


def test_a_canceled_run_leaves_no_process(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    code = (
        "import os, signal, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    if os.fork(): os._exit(0)\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    run = started(code, target=target, grace_seconds=1)
    monitor.wait(lambda: b"ready" in log_of(run), "the script prints")
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    word = last_word(run.run_id)
    assert word
    assert word.receipt
    assert word.receipt.left == 0
    assert slurm.processes_of(run.run_id) == []


def test_it_is_checked_in_its_own_way(target: ComputeTarget, slurm: Slurm) -> None:
    found = outcomes(target)
    assert all(is_fine for is_fine, _ in found.values()), found
    assert found["Slurm"][1] == "slurm-wlm 22.05.8. Its controller answers."
    assert found["Partitions"][1] == (
        "cpu (default): 2 nodes, 2 idle; gpu: 1 node, 1 idle."
    )


@pytest.mark.parametrize(
    ("settings", "check", "words"),
    [
        ({"partition": "none"}, "Partitions", "There is no partition none. cpu (def"),
        ({"programs": "/none"}, "Slurm", "There is no sbatch on the machine. Give"),
        ({"conf": "/none"}, "Slurm", "There is no /none to be read"),
        ({"cpus": 64}, "A one-second job", "It waits as others do. Pending: "),
    ],
)
def test_what_is_wrong_is_found_by_the_check(
    slurm: Slurm,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    check: str,
    words: str,
) -> None:
    monkeypatch.setattr("computes.checks._JOB_SECONDS", 2.0)
    is_fine, detail = outcomes(factories.cluster(slurm, **settings))[check]
    assert detail.startswith(words)
    assert is_fine is ("waits" in words)


def outcomes(target: ComputeTarget) -> dict[str, tuple[bool | None, str]]:
    checks = Checks(host=host_of(target), launcher=launcher_of(target))
    return {each.name: (each.is_fine, each.detail) for each in checks}


def test_leftovers_do_not_wait_for_a_configuration_that_is_absent(
    slurm: Slurm,
) -> None:
    launcher = launcher_of(factories.cluster(slurm, conf="/none"))
    with pytest.raises(TargetError, match="There is no /none to be read"):
        launcher.leftovers()


def test_what_is_left_of_jobs_is_listed_and_ended(
    target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(SHOW, target=target, launch={"cpus": 64})
    # Jobs of the same account that are none of the portal's.
    other = slurm.must("sbatch", "--parsable", "--hold", "--wrap=true", "-Jother")
    launcher = launcher_of(target)
    assert [left.job for left in launcher.leftovers()] == [run.run_id]
    left = launcher.leftovers()[0]
    assert left.words.startswith("Slurm job ")
    assert left.portal == settings.PORTAL_ID
    assert left.since
    assert abs(timezone.now() - left.since) < timedelta(minutes=1)
    for _ in range(2):
        launcher.end(run.run_id)
    assert launcher.leftovers() == []
    assert slurm.ids("other") == [other.strip()]
    assert slurm.jobs("other") == ["PENDING"]


@pytest.fixture
def login_node(tmp_path: Path) -> Iterator[ComputeTarget]:
    with Sshd() as sshd:
        yield factories.machine(sshd, tmp_path / "shared", name="login")


def test_a_login_node_over_ssh_serves_as_well(
    slurm: Slurm, login_node: ComputeTarget
) -> None:
    target = factories.cluster(slurm, machine=login_node)
    with following(host_of(target)) as monitor:
        run = started(SHOW, target=target)
        monitor.wait_for_end(run)
        assert log_path(run.run_id).read_text() == f"aml-{run.run_id} cpu\nno GPU\n"
        canceled = started(WAITS, target=target)
        monitor.wait_for(canceled, RunStatus.RUNNING)
        services.cancel_run(canceled, by="ada")
        monitor.wait_for_end(canceled)
        assert canceled.status == RunStatus.CANCELED


def log_of(run: Run) -> bytes:
    path = log_path(run.run_id)
    return path.read_bytes() if path.exists() else b""
