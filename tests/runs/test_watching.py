"""Which jobs launchers are asked about, and what becomes of those who ask."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone

from aml_portal.errors import TargetError
from computes.models import ComputeTarget
from computes.targets import host_of
from runs import sights
from runs.models import Run
from runs.status import RunStatus
from runs.watching import Watcher
from tests import factories
from tests.computes.another_kind import GateLauncher
from tests.services.monitor import Monitor, following, placed, started
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
_KIND = "tests.computes.another_kind.KIND"
WAITS = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def with_the_kind() -> Iterator[None]:
    with override_settings(COMPUTE_KINDS=[*settings.COMPUTE_KINDS, _KIND]):
        yield


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    gate = tmp_path / "gate"
    gate.touch()
    return gate


@pytest.fixture
def target(gate: Path) -> ComputeTarget:
    return ComputeTarget.objects.create(
        name="far",
        kind="gate",
        machine=factories.target(),
        settings={"gate": str(gate)},
    )


@pytest.fixture
def watcher(target: ComputeTarget) -> Iterator[Watcher]:
    watcher = Watcher(target.pk)
    yield watcher
    watcher.stop()
    watcher.join(10)


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with following() as monitor:
        yield monitor


def end(run: Run) -> None:
    host_of(run.target).cancel(run.run_id, grace_seconds=0, reason="Enough.")


def test_a_run_at_work_is_looked_at_also_if_its_handle_was_lost(
    monitor: Monitor, target: ComputeTarget, gate: Path
) -> None:
    run = started(WAITS, target=target)
    # The worker was killed before it had kept that.
    Run.objects.filter(pk=run.pk).update(handle=None)
    monitor.wait_for(run, RunStatus.RUNNING)
    gate.unlink()
    assert sights.look(target)
    run.refresh_from_db()
    assert run.sight == "It waits at the gate."
    end(run)


def test_a_run_that_is_just_being_submitted_is_not_looked_at(
    target: ComputeTarget, gate: Path
) -> None:
    run = placed(WAITS, target=target)
    run.move(RunStatus.STARTING)
    gate.unlink()
    assert not sights.look(target)


def test_a_run_that_was_given_up_is_looked_at(target: ComputeTarget) -> None:
    run = started(WAITS, target=target)
    fields = {"status": RunStatus.FAILED, "is_left_there": True}
    Run.objects.filter(pk=run.pk).update(**fields)
    assert sights.look(target)
    end(run)


def test_who_watches_goes_on_after_any_trouble(
    monkeypatch: pytest.MonkeyPatch, watcher: Watcher
) -> None:
    monkeypatch.setattr("runs.watching._LATER", 0.01)
    asked: list[int] = []

    def pause() -> float:
        asked.append(len(asked))
        if len(asked) == 1:
            raise OperationalError("The database is away.")
        return 0.01 if len(asked) < 3 else 60.0

    monkeypatch.setattr(watcher, "_pause", pause)
    watcher.start()
    eventually(lambda: len(asked) == 3, "it goes on")


def test_a_launcher_that_can_not_be_asked_is_the_trouble_of_its_target(
    monkeypatch: pytest.MonkeyPatch,
    target: ComputeTarget,
    watcher: Watcher,
) -> None:
    run = started(WAITS, target=target)
    looks: list[int] = []

    def look(*_: object) -> dict[str, object]:
        looks.append(len(looks))
        if len(looks) == 1:
            raise TargetError("The gate is stuck.")
        return {}

    def noted() -> tuple[str, bool]:
        target.refresh_from_db()
        return target.trouble, target.last_seen_at is not None

    monkeypatch.setattr(GateLauncher, "look", look)
    monkeypatch.setattr("runs.watching._LATER", 0.05)
    monkeypatch.setattr(watcher, "_pause", lambda: 0.05)
    watcher.start()
    eventually(lambda: noted() == ("The gate is stuck.", False), "it is told")
    # As time goes by.
    ago = timezone.now() - timedelta(seconds=1)
    ComputeTarget.objects.update(leave_alone_until=ago)
    eventually(lambda: noted() == ("", True), "it is over")
    end(run)
