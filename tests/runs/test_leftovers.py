"""What lives on targets of runs that have ended, as administrators see and end it."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from computes.models import ComputeTarget
from computes.targets import host_of
from runs import leftovers
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.docker_engine import DockerEngine
from tests.services.monitor import Monitor, following, started
from tests.services.sshd import Sshd
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
LIST, END = "/compute/local/leftovers/", "/compute/local/leftovers/end/"
SLEEPS = "import time; print('ready', flush=True); time.sleep(600)"
Strays = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(leftovers, "_PATIENCE", timedelta(0))
    # What other tests have left is that of another portal.
    settings.PORTAL_ID = "ours"


@pytest.fixture
def admin() -> Client:
    factories.target(max_runs=50)
    return factories.signed_in(User.objects.create(username="boss", is_staff=True))


@pytest.fixture
def stray() -> Iterator[Strays]:
    """Have a process live that belongs to a job, as if the script had left it."""
    living: list[subprocess.Popen[bytes]] = []

    def start(job: str, portal: str = "ours") -> "subprocess.Popen[bytes]":
        env = {**os.environ, "AML_JOB_MARK": f"{portal}:{job}:0"}
        living.append(subprocess.Popen(["sleep", "600"], env=env))
        return living[-1]

    yield start
    for process in living:
        process.kill()
        process.wait()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with following() as monitor:
        yield monitor


def page(client: Client) -> str:
    return " ".join(client.get(LIST).content.decode().split())


def test_what_an_ended_run_left_is_listed_and_ended(
    admin: Client, stray: Strays
) -> None:
    ago = timezone.now() - timedelta(hours=1)
    run = factories.ended_run(status="Failed", ended_at=ago)
    process = stray(run.run_id)
    text = page(admin)
    assert f'href="/runs/{run.run_id}/"' in text
    assert "1 process with" in text
    assert f"sleep 600 ({process.pid})" in text
    answer = admin.post(END, {"job": run.run_id}, follow=True)
    assert f"What was left of {run.run_id} is being ended." in answer.content.decode()
    assert process.wait(10) == -15
    assert "Nothing is left behind" in page(admin)


def test_a_run_at_work_is_none_until_its_row_says_that_it_ended(
    admin: Client, monitor: Monitor
) -> None:
    run = started(SLEEPS)
    monitor.wait_for(run, RunStatus.RUNNING)
    host = host_of(run.target)
    assert run.run_id in {each.job for each in host.living()}
    assert run.run_id not in page(admin)
    answer = admin.post(END, {"job": run.run_id}, follow=True)
    assert "Nothing of it is left any more." in answer.content.decode()
    assert host.state(run.run_id)["state"] == "running"
    run.end(EndReason.LOST, time=timezone.now() - timedelta(hours=1))
    assert run.run_id in page(admin)
    admin.post(END, {"job": run.run_id}, follow=True)
    eventually(
        lambda: host.state(run.run_id)["state"] == "ended", "its runner has ended it"
    )
    assert run.run_id not in page(admin)


def test_a_container_of_an_ended_run_is_listed_and_removed(
    admin: Client, docker_engine: DockerEngine
) -> None:
    target = factories.docker_target(docker_engine)
    run = started(SLEEPS, target=target)
    url = f"{target.get_absolute_url()}leftovers/"
    assert run.run_id not in admin.get(url).content.decode()
    run.end(EndReason.LOST, time=timezone.now() - timedelta(hours=1))
    text = admin.get(url).content.decode()
    assert f"Container aml-{run.run_id} of" in text
    assert ": Up" in text
    admin.post(f"{url}end/", {"job": run.run_id}, follow=True)
    assert "Nothing is left behind" in admin.get(url).content.decode()


def test_what_nobody_knows_any_more_is_listed_if_it_is_ours(
    admin: Client, stray: Strays
) -> None:
    ours = stray("forgotten_1")
    theirs, old = stray("forgotten_2", "another"), stray("forgotten_3", "")
    text = page(admin)
    assert "forgotten_1" in text
    assert "not known to this portal any more" in text
    assert "forgotten_2" not in text
    assert "forgotten_3" not in text
    for job in ("forgotten_1", "forgotten_2", "forgotten_3", "../x"):
        admin.post(END, {"job": job})
    ours.wait(10)
    assert theirs.poll() is old.poll() is None


def test_what_began_or_ended_just_now_is_left_alone(
    admin: Client, stray: Strays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check may be at work, or the clearing away."""
    monkeypatch.setattr(leftovers, "_PATIENCE", timedelta(seconds=60))
    run = factories.ended_run(status="Failed", ended_at=timezone.now())
    stray(run.run_id)
    stray("check-123")
    assert "Nothing is left behind" in page(admin)


def test_only_administrators_look_and_end(admin: Client, stray: Strays) -> None:
    stranger = factories.signed_in(factories.person())
    assert stranger.get(LIST).status_code == 403
    assert stranger.post(END, {"job": "x"}).status_code == 403
    assert admin.get(END).status_code == 405
    assert LIST in admin.get("/compute/local/").content.decode()
    assert LIST not in stranger.get("/compute/local/").content.decode()


def test_a_machine_that_is_away_is_told(admin: Client) -> None:
    ComputeTarget.objects.create(name="gpu-box", kind="ssh", host_key="")
    answer = admin.get("/compute/gpu-box/leftovers/").content.decode()
    assert "The host key of gpu-box is not confirmed." in answer


def test_a_machine_that_does_not_answer_is_waited_for_a_moment(
    admin: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("computes.patience._SECONDS", 0.2)
    with Sshd() as sshd:
        factories.machine(sshd, tmp_path)
    # It takes the connection, and says nothing.
    with socket.create_server(("127.0.0.1", sshd.port)):
        for answer in (
            admin.get("/compute/gpu-box/leftovers/"),
            admin.post("/compute/gpu-box/leftovers/end/", {"job": "x"}, follow=True),
        ):
            text = answer.content.decode()
            assert "gpu-box has not answered within 0.2 seconds." in text
