"""Runs that are given up while their target is away, and what becomes of them there."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from computes.targets import host_of
from runs import execution, follower, monitor as monitors, services
from runs.giving_up import give_up_if_due, give_up_run
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.reconcile import Reconciler
from runs.status import EndReason, RunStatus
from runs.storage import source_of
from tests import factories
from tests.services.monitor import Monitor, following, placed, spec_of, started
from tests.services.sshd import Sshd
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
# Its child is in a session of its own.
WAITS = """
import os, time
for number in range(100_000):
    print(number, flush=True)
    if os.path.exists("outputs/go"):
        break
    time.sleep(0.01)
open("outputs/result.txt", "w").write("42")
"""
LEAVES_A_CHILD = """
import os, time
print("ready", flush=True)
if os.fork() == 0:
    os.setsid()
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_NOT_RESPONDING_AFTER", 1.0)
    monkeypatch.setattr(follower, "_LONGEST_BACK_OFF", 0.5)


@pytest.fixture
def target(own_sshd: Sshd, tmp_path: Path) -> ComputeTarget:
    return factories.machine(own_sshd, tmp_path / "far", max_runs=1)


@pytest.fixture
def monitor(target: ComputeTarget) -> Iterator[Monitor]:
    with following(host_of(target)) as monitor:
        yield monitor


@pytest.fixture
def lost(monitor: Monitor, target: ComputeTarget, own_sshd: Sshd) -> Run:
    """A run that waits, and whose machine does not answer."""
    return silenced(WAITS, monitor, target, own_sshd)


def silenced(code: str, monitor: Monitor, target: ComputeTarget, own_sshd: Sshd) -> Run:
    run = started(code, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    own_sshd.stop()
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    return run


def far_folder(run: Run) -> Path:
    return Path(run.target.ssh.root) / "jobs" / run.run_id


def is_told(run: Run) -> bool:
    run.refresh_from_db()
    return not run.is_left_there


def test_it_ends_here_at_once_and_its_place_is_free(
    lost: Run, target: ComputeTarget
) -> None:
    waiting = factories.submit("print(1)", target=target)
    assert waiting.status == RunStatus.QUEUED
    assert give_up_run(lost, by="ada")
    assert (lost.status, lost.end_reason) == (RunStatus.FAILED, EndReason.GIVEN_UP)
    assert lost.error == (
        "ada gave it up while gpu-box did not answer. Whether the script still works"
        " is not known."
    )
    waiting.refresh_from_db()
    assert waiting.status == RunStatus.PREPARING
    assert not give_up_run(lost, by="ada")


def test_what_lives_is_ended_when_the_machine_comes_back(
    monitor: Monitor, target: ComputeTarget, own_sshd: Sshd
) -> None:
    run = silenced(LEAVES_A_CHILD, monitor, target, own_sshd)
    give_up_run(run, by="ada")
    own_sshd.start()
    monitor.wait(lambda: is_told(run), "its end is told")
    assert run.status == RunStatus.FAILED
    word = last_word(run.run_id)
    assert word
    assert word.receipt
    assert (len(word.receipt.processes), word.receipt.left) == (2, 0)
    assert run.events.order_by("-id")[0].detail == (
        "gpu-box answers again, and has ended the run. The run was canceled. 2"
        " processes were ended, none left."
    )
    execution.clean_run(run.pk)
    assert not far_folder(run).exists()


def test_what_it_did_meanwhile_is_kept(
    monitor: Monitor, lost: Run, own_sshd: Sshd
) -> None:
    """The log to its end and the outputs, though nobody waited for them any more."""
    give_up_run(lost, by="ada")
    far = far_folder(lost)
    (far / "work/outputs/go").touch()
    eventually((far / "exit.json").exists, "the script ends")
    whole = (far / "logs/std_log.txt").read_bytes()
    own_sshd.start()
    monitor.wait(lambda: is_told(lost), "its end is told")
    assert log_path(lost.run_id).read_bytes() == whole
    output = log_path(lost.run_id).parent.parent / "files/outputs/result.txt"
    assert output.read_text() == "42"
    note = lost.events.order_by("-id")[0].detail
    assert "The script ended with exit code 0." in note
    page = factories.signed_in(factories.person()).get(f"/runs/{lost.run_id}/")
    assert "Its target has answered since" in page.content.decode()
    assert (lost.status, lost.end_reason) == (RunStatus.FAILED, EndReason.GIVEN_UP)


def test_nothing_of_it_is_removed_before_its_end_is_known(lost: Run) -> None:
    give_up_run(lost, by="ada")
    _, followed, _ = monitors.Monitor()._placed()
    assert followed[host_of(lost.target).key] == [lost]
    execution.clean_run(lost.pk)
    Reconciler().reconcile()
    lost.refresh_from_db()
    assert lost.cleaned_at is None
    assert far_folder(lost).exists()
    with pytest.raises(UserError, match="may still work on gpu-box"):
        services.delete_run(lost)


def test_a_limit_that_a_person_has_set_gives_up(
    monitor: Monitor, lost: Run, target: ComputeTarget
) -> None:
    assert not give_up_if_due(lost)
    ComputeTarget.objects.update(give_up_after=3600)
    assert not give_up_if_due(lost)
    ago = timezone.now() - timedelta(hours=2)
    lost.events.filter(status=RunStatus.NOT_RESPONDING).update(time=ago)
    monitor.wait_for_end(lost)
    assert lost.end_reason == EndReason.GIVEN_UP
    assert lost.error.startswith("gpu-box was not heard from for 1 hour.")


def test_one_that_was_about_to_start_never_will(
    monitor: Monitor, target: ComputeTarget, own_sshd: Sshd
) -> None:
    """It was laid out when the machine went away, and nobody knows more than that."""
    run = placed(WAITS, target=target)
    spec, source = spec_of(run), source_of(run.snapshot)
    host_of(target).stage(run.run_id, spec, source)
    run.move(RunStatus.STARTING)
    monitor.wait(lambda: True, "it is followed")
    own_sshd.stop()
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    give_up_run(run, by="ada")
    own_sshd.start()
    monitor.wait(lambda: is_told(run), "its end is told")
    execution.start_run(run.pk)
    assert not log_path(run.run_id).exists()


def test_the_page_asks_before_it_gives_up(lost: Run) -> None:
    stranger = factories.signed_in(factories.person("eve"))
    owner = factories.signed_in(factories.person())
    path = f"/runs/{lost.run_id}/"
    assert b"End it here" not in stranger.get(path).content
    assert stranger.post(f"{path}give-up/").status_code == 403
    page = owner.get(path).content.decode()
    assert "End it here" in page
    assert "Whether the script still works is not known" in page
    answer = owner.post(f"{path}give-up/", follow=True).content.decode()
    assert "gave it up while gpu-box did not answer" in answer
    assert "Should the compute target answer again" in answer
    answer = owner.post(f"{path}give-up/", follow=True).content.decode()
    assert "nothing was changed" in answer


def test_administrators_may_give_up_runs_of_others(lost: Run) -> None:
    boss = factories.signed_in(User.objects.create(username="boss", is_staff=True))
    boss.post(f"/runs/{lost.run_id}/give-up/")
    lost.refresh_from_db()
    assert "boss gave it up" in lost.error
