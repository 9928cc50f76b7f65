"""Runs in containers of a real Docker engine, and what may happen to both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import docker
import pytest
from django.utils import timezone
from docker.models.containers import Container

from computes.checks import Checks
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs import execution, services, sights
from runs.mirror import log_path
from runs.models import Run
from runs.status import TERMINAL, EndReason, RunStatus
from tests import factories
from tests.factories import docker_target
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, PYTHON, load_images
from tests.services.monitor import Monitor, job_folder, placed, started, states
from tests.services.sshd import Sshd
from tests.waiting import free_port

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
# Ends when it is told to, and lets nobody hurry it.
COUNTS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["/bin/setsid", "/bin/sleep", "600"])
for number in range(100_000):
    print(number, flush=True)
    if os.path.exists("outputs/go"):
        break
    time.sleep(0.02)
print("done")
"""
WAITS = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def target(docker_engine: DockerEngine) -> ComputeTarget:
    return docker_target(docker_engine)


@pytest.fixture(scope="module")
def own_engine() -> Iterator[DockerEngine]:
    """One that tests may stop and start again."""
    with DockerEngine() as engine:
        load_images(engine.client(), PYTHON)
        yield engine


@pytest.fixture
def live_restore() -> Iterator[DockerEngine]:
    with DockerEngine("--live-restore") as engine:
        load_images(engine.client(), PYTHON)
        yield engine


@pytest.fixture
def client(docker_engine: DockerEngine) -> docker.DockerClient:
    return docker_engine.client()


def container(client: docker.DockerClient, run: Run) -> Container:
    return client.containers.get(f"aml-{run.run_id}")


def prints(monitor: Monitor, run: Run, words: str) -> None:
    def has_come() -> bool:
        path = log_path(run.run_id)
        return path.exists() and words in path.read_text()

    monitor.wait(has_come, f"the script prints {words}")


def looked_at(run: Run) -> Callable[[], bool]:
    """Look from outside, as the monitor does, until the run has ended."""

    def has_ended() -> bool:
        sights.look(run.target)
        run.refresh_from_db()
        return run.status in TERMINAL

    return has_ended


def cleaned(run: Run) -> Run:
    execution.clean_run(run.pk)
    run.refresh_from_db()
    assert run.cleaned_at
    assert launcher_of(run.target).leftovers() == []
    return run


def test_a_run_goes_its_way(monitor: Monitor, target: ComputeTarget) -> None:
    run = started(
        "import os; print(os.environ['AZUREML_RUN_ID'], len(os.listdir('/proc')) < 99)"
        "\nopen('outputs/result.txt', 'w').write('42')",
        target=target,
    )
    monitor.wait_for_end(run)
    assert states(run) == [
        *("Queued", "Preparing", "Starting", "Running", "Finalizing", "Completed")
    ]
    log = log_path(run.run_id)
    assert log.read_text() == f"{run.run_id} True\n"
    assert (log.parent.parent / "files/outputs/result.txt").read_text() == "42"
    assert cleaned(run).error == ""


def test_a_cancel_leaves_nothing(monitor: Monitor, target: ComputeTarget) -> None:
    run = started(COUNTS, target=target, grace_seconds=1)
    prints(monitor, run, "3\n")
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    cleaned(run)


def test_a_run_on_the_engine_of_a_machine_over_ssh(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    monitor = Monitor()
    with ExitStack() as stack:
        sshd = stack.enter_context(Sshd())
        stack.callback(monitor.stop)
        machine = factories.machine(sshd, tmp_path / "far")
        target = docker_target(docker_engine, machine=machine.pk)
        monitor.begin(host_of(target))
        run = started("print(open('/proc/1/comm').read())", target=target)
        monitor.wait_for_end(run)
        assert (run.status, run.error) == (RunStatus.COMPLETED, "")
        assert log_path(run.run_id).read_text() == "docker-init\n\n"
        cleaned(run)
        assert not (tmp_path / "far/jobs" / run.run_id).exists()


def test_a_run_on_an_engine_that_is_elsewhere(
    monitor: Monitor, docker_engine: DockerEngine
) -> None:
    run = started(
        "import os; print(os.getcwd()); open('outputs/result.txt', 'w').write('42')",
        target=docker_target(docker_engine, copies="on"),
    )
    monitor.wait_for_end(run)
    log = log_path(run.run_id)
    assert (run.status, log.read_text()) == ("Completed", "/aml-portal/work\n")
    assert (log.parent.parent / "files/outputs/result.txt").read_text() == "42"
    assert cleaned(run).error == ""


def test_a_paused_container_is_canceled_by_force(
    monitor: Monitor,
    target: ComputeTarget,
    client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sights, "_FORCE_AFTER", 0.5)
    run = started(WAITS, target=target, grace_seconds=0)
    prints(monitor, run, "ready")
    container(client, run).pause()
    sights.look(target)
    run.refresh_from_db()
    assert "paused the container" in run.sight
    # Asked for while its target was away, which was told nothing so far.
    ago = timezone.now() - timedelta(hours=1)
    Run.objects.filter(pk=run.pk).update(cancel_requested_at=ago)
    sights.look(target)
    assert container(client, run).status == "paused"
    Run.objects.filter(pk=run.pk).update(cancel_requested_at=None)
    services.cancel_run(run, by="ada")
    monitor.wait(looked_at(run), "the run has ended")
    assert run.status == RunStatus.CANCELED
    cleaned(run)


def test_a_lack_of_memory_is_a_hint(
    monitor: Monitor, docker_engine: DockerEngine
) -> None:
    target = docker_target(docker_engine, memory="0.1")
    run = started("print(len(bytearray(2 << 28)))", target=target)
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.SIGNAL)
    assert "ended for lack of memory, of which it may use 107 MB." in cleaned(run).error


def test_an_image_that_can_not_be_had_is_told(
    monitor: Monitor, target: ComputeTarget
) -> None:
    image = f"127.0.0.1:{free_port()}/team/image:1"
    run = started(WAITS, target=target, launch={"image": image})
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == ("Failed", EndReason.PREPARE_FAILED)
    words = f"The registry of the image {image} can't be reached"
    assert run.error.startswith(f"The environment could not be made. {words}")
    log = log_path(run.run_id).read_text()
    first, second, *_ = log.splitlines()
    assert first == f"Pulling the image {image}"
    assert second.startswith(f"The environment can't be made: {words}")
    cleaned(run)


def test_an_image_without_python_is_told(
    monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(WAITS, target=target, launch={"image": BARE})
    monitor.wait(looked_at(run), "the run has ended")
    assert run.status == RunStatus.FAILED
    assert run.error == f"The image {BARE} has no python3: the runner needs Python."
    cleaned(run)


def test_a_check_with_an_image_without_python_waits_for_nothing(
    docker_engine: DockerEngine,
) -> None:
    target = docker_target(docker_engine, image=BARE)
    *_, job = Checks(host=host_of(target), launcher=launcher_of(target))
    assert not job.is_fine
    assert f"The image {BARE} has no python3" in job.detail
    assert job.seconds < 10


def test_a_container_that_was_removed_is_a_lost_run(
    monitor: Monitor, target: ComputeTarget, client: docker.DockerClient
) -> None:
    run = started(WAITS, target=target)
    prints(monitor, run, "ready")
    container(client, run).remove(force=True)
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.LOST)
    assert "was ended by something outside the portal" in run.error
    cleaned(run)


def test_an_engine_that_is_away_is_waited_for(
    monitor: Monitor, own_engine: DockerEngine
) -> None:
    run = placed("print('at last')", target=docker_target(own_engine))
    own_engine.stop()
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.STARTING
    note = run.events.order_by("-pk")[0].detail
    assert "Docker engine at" in note
    assert note.endswith("The submission is tried again.")
    own_engine.start()
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    cleaned(run)


def test_an_engine_that_is_started_again_ends_its_runs(
    monitor: Monitor, own_engine: DockerEngine
) -> None:
    target = docker_target(own_engine)
    told = started(COUNTS, target=target, grace_seconds=1)
    prints(monitor, told, "3\n")
    own_engine.restart()
    monitor.wait_for_end(told)
    assert (told.status, told.end_reason) == (RunStatus.FAILED, EndReason.HOST_SIGNAL)
    cleaned(told)
    run = started(COUNTS, target=target, grace_seconds=1)
    prints(monitor, run, "3\n")
    own_engine.kill()
    # It goes on, for now.
    prints(monitor, run, "20\n")
    own_engine.start()
    monitor.wait_for_end(run)
    assert run.status == RunStatus.FAILED
    cleaned(run)


def test_an_engine_with_live_restore_is_started_again_unnoticed(
    monitor: Monitor, live_restore: DockerEngine
) -> None:
    run = started(COUNTS, target=docker_target(live_restore), grace_seconds=1)
    prints(monitor, run, "3\n")
    live_restore.kill()
    live_restore.start()
    live_restore.restart()
    assert not looked_at(run)()
    (job_folder(run) / "work/outputs/go").touch()
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_text().endswith("\ndone\n")
    cleaned(run)
