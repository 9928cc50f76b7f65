"""Images that can't be had, or that would take for ever."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from django.test import override_settings

from computes.launchers.docker.locks import lock_of
from computes.launchers.docker.recipes import STAGE, stage_of
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from environments.models import Environment
from runs import services, tasks
from runs.status import EndReason, RunStatus
from tests import factories
from tests.factories import docker_target
from tests.runs.built_images import (
    built,
    has_begun,
    has_ended,
    in_background,
    log_of,
    plain,
    remove_built,
)
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, build, load_images
from tests.services.monitor import Monitor, placed, started
from tests.services.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
ENDLESS = f"FROM {BARE}\nRUN echo begun && sleep 600\n"


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    """Of an engine that has no environments before the test and after it."""
    client = docker_engine.client()
    remove_built(client)
    yield client
    remove_built(client)


@pytest.fixture
def target(docker_engine: DockerEngine, client: docker.DockerClient) -> ComputeTarget:
    return docker_target(docker_engine)


@pytest.fixture
def endless(client: docker.DockerClient) -> Environment:
    return plain(base_dockerfile=ENDLESS)


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        (
            f"FROM {BARE}\nRUN echo no luck; exit 3\n",
            "Step 2 of the Dockerfile failed, RUN echo no luck; exit 3: no luck.",
        ),
        (f"FROM {BARE}\nRUN exit 4\n", "it ended with exit code 4"),
        (
            f"FROM {BARE}\nCOPY absent.txt /there/\n",
            "Step 2 of the Dockerfile failed, COPY absent.txt /there/: COPY failed:",
        ),
        (f"FROM {BARE}\nBAKE a cake\n", "unknown instruction: BAKE"),
        ("FROM aml-tests/none:1\n", "aml-tests/none:1"),
    ],
)
def test_a_dockerfile_that_fails_is_told(
    monitor: Monitor,
    target: ComputeTarget,
    client: docker.DockerClient,
    dockerfile: str,
    words: str,
) -> None:
    run = started(target=target, environment=plain(base_dockerfile=dockerfile))
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == ("Failed", EndReason.PREPARE_FAILED)
    assert run.error.startswith("The environment could not be made. ")
    assert words in run.error
    assert words in log_of(run)
    assert built(client) == []


def test_a_full_disk_of_the_engine_is_told(monitor: Monitor) -> None:
    with DockerEngine(disk_bytes=50_000_000) as engine:
        load_images(engine.client(), BARE)
        target = docker_target(engine, image=BARE)
        needed = plain(base_dockerfile=f"FROM {BARE}\nRUN cat /dev/zero > /full\n")
        run = started(target=target, environment=needed)
        monitor.wait_for_end(run)
        assert built(engine.client()) == []
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert "No space left on device" in run.error


def test_a_build_that_never_ends_is_canceled(
    monitor: Monitor,
    target: ComputeTarget,
    endless: Environment,
    client: docker.DockerClient,
) -> None:
    run = placed(target=target, environment=endless)
    thread = in_background(run)
    has_begun(monitor, run)
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    thread.join(20)
    assert not thread.is_alive()
    assert run.status == RunStatus.CANCELED
    monitor.wait(lambda: has_ended(client), "its container is removed")
    assert built(client) == []


def test_a_build_on_another_machine_is_canceled(
    docker_engine: DockerEngine,
    endless: Environment,
    client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    monitor = Monitor()
    with Sshd() as sshd:
        machine = factories.machine(sshd, tmp_path / "far", max_runs=50)
        target = docker_target(docker_engine, machine=machine.pk)
        monitor.begin(host_of(target))
        run = placed(target=target, environment=endless)
        thread = in_background(run)
        has_begun(monitor, run)
        services.cancel_run(run, by="ada")
        monitor.wait_for_end(run)
        thread.join(20)
        monitor.wait(lambda: has_ended(client), "its container is removed")
        monitor.stop()
    assert not thread.is_alive()
    assert run.status == RunStatus.CANCELED


def test_a_build_is_ended_by_the_limit_of_its_run(
    monitor: Monitor,
    target: ComputeTarget,
    endless: Environment,
    client: docker.DockerClient,
) -> None:
    run = started(target=target, environment=endless, max_run_duration_seconds=4)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    assert run.end_reason == EndReason.MAX_DURATION
    assert "The image was not there within 4 seconds." in log_of(run)
    monitor.wait(lambda: has_ended(client), "its container is removed")


def test_a_build_is_ended_by_the_limit_of_the_portal(
    monitor: Monitor,
    target: ComputeTarget,
    endless: Environment,
    client: docker.DockerClient,
) -> None:
    with override_settings(IMAGE_MAX_SECONDS=4):
        run = started(target=target, environment=endless)
    monitor.wait_for_end(run)
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert "The image was not there within 4 seconds." in run.error
    monitor.wait(lambda: has_ended(client), "its container is removed")


def test_no_other_submission_waits_for_a_build(
    monitor: Monitor, target: ComputeTarget, endless: Environment
) -> None:
    """As a worker does it, which has one submission after the other to carry out."""
    slow = placed(target=target, environment=endless)
    begun = time.monotonic()
    tasks.start_run(slow.pk)
    quick = placed("print('done')", target=target)
    tasks.start_run(quick.pk)
    monitor.wait_for_end(quick)
    assert quick.status == RunStatus.COMPLETED
    assert time.monotonic() - begun < 60
    has_begun(monitor, slow)
    slow.refresh_from_db()
    assert slow.status == RunStatus.STARTING


def test_a_pull_that_never_ends_is_canceled(
    monitor: Monitor, target: ComputeTarget
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/never:1"
        run = placed(target=target, environment=plain(base_image=name))
        thread = in_background(run)
        monitor.wait(lambda: "Pulling" in log_of(run), "the pull has begun")
        services.cancel_run(run, by="ada")
        monitor.wait_for_end(run)
        thread.join(20)
        assert not thread.is_alive()
    assert run.status == RunStatus.CANCELED


def test_what_a_killed_build_has_left_goes_with_its_run(
    target: ComputeTarget, client: docker.DockerClient
) -> None:
    stages = (stage_of("left"), stage_of("busy"), "another.left")
    left, busy, foreign = (
        build(client, f"FROM {BARE}\nLABEL {STAGE}={each}\nRUN echo secret > /s\n")
        for each in stages
    )

    def there() -> set[str]:
        found = {str(each.id) for each in client.images.list(all=True)}
        return found & {left, busy, foreign}

    launcher = launcher_of(target)
    with lock_of(client.api, "busy") as take:
        assert take()
        launcher.end("nobody")
        assert there() == {busy, foreign}
    launcher.end("nobody")
    assert there() == {foreign}
