"""Runs on a machine over SSH: the same as here, whatever happens to the connection."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from computes.models import ComputeTarget
from computes.targets import host_of
from environments.definition import Definition
from runs import execution, follower, services
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.status import RunStatus
from tests import factories
from tests.services.monitor import Monitor, following, placed, started, states
from tests.services.sshd import Sshd
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
WAITS = """
import os, time
for number in range(100_000):
    print(number, flush=True)
    if os.path.exists("outputs/go"):
        break
    time.sleep(0.01)
print("done")
"""


@pytest.fixture
def target(own_sshd: Sshd, tmp_path: Path) -> ComputeTarget:
    return factories.machine(own_sshd, tmp_path / "far", max_runs=50)


@pytest.fixture
def monitor(target: ComputeTarget) -> Iterator[Monitor]:
    with following(host_of(target)) as monitor:
        yield monitor


def far_folder(run: Run, target: ComputeTarget) -> Path:
    return Path(target.ssh.root) / "jobs" / run.run_id


def far_log(run: Run, target: ComputeTarget) -> bytes:
    return (
        Path(target.ssh.root) / "jobs" / run.run_id / "logs/std_log.txt"
    ).read_bytes()


def let_go(run: Run, target: ComputeTarget) -> None:
    (far_folder(run, target) / "work/outputs/go").touch()


def test_a_run_goes_its_way(monitor: Monitor, target: ComputeTarget) -> None:
    run = started(
        "import sys, os; print(sys.executable, os.environ['AZUREML_RUN_ID'])"
        "\nopen('outputs/result.txt', 'w').write('42')",
        target=target,
    )
    monitor.wait_for_end(run)
    assert states(run) == [
        *("Queued", "Preparing", "Starting", "Running", "Finalizing", "Completed")
    ]
    assert log_path(run.run_id).read_text() == f"{sys.executable} {run.run_id}\n"
    output = log_path(run.run_id).parent.parent / "files/outputs/result.txt"
    assert output.read_text() == "42"
    travelled = run.events.get(status=RunStatus.STARTING).detail
    assert "Portal to gpu-box: 1 of 1 file new" in travelled
    execution.clean_run(run.pk)
    assert not far_folder(run, target).exists()


def test_the_second_time_nothing_travels(
    monitor: Monitor, target: ComputeTarget
) -> None:
    for words in ("1 of 1 file new", "nothing new"):
        run = started("print('once')", target=target)
        monitor.wait_for_end(run)
        assert words in run.events.get(status=RunStatus.STARTING).detail


def test_a_killed_server_ends_no_run_and_loses_no_byte(
    monitor: Monitor,
    target: ComputeTarget,
    own_sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "_NOT_RESPONDING_AFTER", 1.0)
    run = started(WAITS, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    own_sshd.stop()
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    told = run.events.get(status=RunStatus.NOT_RESPONDING).detail
    assert "can't be reached" in told
    assert "The run may still be working" in told
    assert Run.objects.placed().filter(pk=run.pk).exists()
    own_sshd.start()
    monitor.wait_for(run, RunStatus.RUNNING)
    let_go(run, target)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == far_log(run, target)
    assert log_path(run.run_id).read_bytes().endswith(b"done\n")


def test_a_run_that_ended_while_nobody_could_look_is_whole(
    monitor: Monitor, target: ComputeTarget, own_sshd: Sshd
) -> None:
    run = started(WAITS, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    own_sshd.stop()
    let_go(run, target)
    eventually(lambda: far_log(run, target).endswith(b"done\n"), "the script ends")
    own_sshd.start()
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == far_log(run, target)


def test_a_submission_waits_for_a_target_that_is_away(
    monitor: Monitor, target: ComputeTarget, own_sshd: Sshd
) -> None:
    own_sshd.stop()
    run = placed("print('fine')", target=target)
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.PREPARING
    note = run.events.order_by("-id")[0].detail
    assert "can't be reached" in note
    assert "The submission is tried again." in note
    target.refresh_from_db()
    assert "can't be reached" in target.trouble
    assert target.leave_alone_until is not None
    own_sshd.start()
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED


def test_a_cancel_leaves_nothing(monitor: Monitor, target: ComputeTarget) -> None:
    code = (
        "import os, time\nprint('ready', flush=True)\n"
        "if os.fork() == 0:\n    os.setsid()\ntime.sleep(600)"
    )
    run = started(code, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    word = last_word(run.run_id)
    assert word
    assert word.receipt
    assert (len(word.receipt.processes), word.receipt.left) == (2, 0)


def test_an_interpreter_that_is_not_there_is_told(
    monitor: Monitor, target: ComputeTarget
) -> None:
    environment = factories.this_python()
    environment.content = Definition.user_managed("/no/such/python").to_json()
    environment.save()
    run = started("print(1)", target=target)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.FAILED
    assert "/no/such/python can't be started" in run.error
