"""Runs on a Docker target whose environment is an image that its engine builds."""

import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from django.test import override_settings

from computes.models import ComputeTarget
from computes.targets import host_of
from environments.locks import lock_of
from environments.models import Build
from runs.status import EndReason, RunStatus
from tests import factories
from tests.environments.sources import BUILDS, source
from tests.environments.wheels import Wheels
from tests.factories import docker_target
from tests.runs.built_images import (
    built,
    environment,
    has_ended,
    in_background,
    log_of,
    notes,
    plain,
    remove_built,
)
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, PYTHON
from tests.services.docker_registry import (
    PASSWORD as PASSWORD_THERE,
    USER,
    DockerRegistry,
)
from tests.services.monitor import Monitor, job_folder, placed, started, take_up
from tests.services.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
SHOW = "import tiny, sys; print(tiny.VERSION, sys.prefix)"
FOLDER = "/opt/aml-environment"
# What only the build may know.
PASSWORD, PROXY = "the-index-password", "http://proxy.invalid:3128"
ENDLESS = f"FROM {PYTHON}\nRUN echo begun && sleep 600\n"


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[Wheels]:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.0")
    wheels.add("tiny", "1.5")
    wheels.add("unwanted", "1.0")
    authorities, netrc = tmp_path / "authorities.pem", tmp_path / "netrc"
    authorities.write_text("")
    netrc.write_text(f"machine index.invalid login nobody password {PASSWORD}\n")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none",
        PYTHON_FIND_LINKS=[str(wheels.folder)],
        PYTHON_CA_BUNDLE=str(authorities),
        PYTHON_NETRC=str(netrc),
        PYTHON_PROXY=PROXY,
    ):
        yield wheels


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


def test_the_first_run_builds_it_and_the_second_finds_it(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels, client: docker.DockerClient
) -> None:
    needed = environment("tiny")
    run = started(SHOW, target=target, environment=needed)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert log_of(run).splitlines()[-1] == f"1.5 {FOLDER}"
    assert "tiny==1.5" in log_of(run)
    assert any(note.startswith("Its environment was built in") for note in notes(run))
    build = Build.objects.get()
    assert (build.machine, build.state) == (target.machine, "ready")
    assert build.seconds
    assert build.bytes
    assert built(client) == [f"aml-environment:{build.key}"]
    again = started(SHOW, target=target, environment=needed)
    monitor.wait_for_end(again)
    assert log_of(again) == f"1.5 {FOLDER}\n"
    assert "Its environment was there already." in notes(again)


def test_what_has_to_be_built_to_be_known_is_built_for_an_image_too(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels
) -> None:
    source(wheels.folder, "made", BUILDS.format(told="/dev/null"), static=False)
    needed = environment("made")
    run = started("import made; " + SHOW, target=target, environment=needed)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert log_of(run).splitlines()[-1] == f"1.5 {FOLDER}"
    assert needed.locks.get().packages.keys() == {"python", "made", "tiny"}


def test_nothing_of_where_packages_come_from_stays(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels, client: docker.DockerClient
) -> None:
    run = started(SHOW, target=target, environment=environment("tiny"))
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert PASSWORD not in (log_of(run) + json.dumps(notes(run)))
    (name,) = built(client)
    everything = json.dumps(
        [[each.attrs, each.history()] for each in client.images.list(all=True)]
    )
    folder = str(wheels.folder.parent)
    for word in (PASSWORD, PROXY, "UV_", "PIP_", "aml-build", folder):
        assert word not in everything, word
    container = client.containers.create(name, ["true"])
    try:
        paths = {each["Path"] for each in container.diff() or ()}
        pieces: Any = container.export()
        exported = b"".join(pieces)
    finally:
        container.remove()
    assert not paths
    assert PASSWORD.encode() not in exported
    assert b"aml-build" not in exported
    assert client.images.get(name).labels["aml-portal.environment"]


def test_job_json_does_not_have_the_passwords(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels
) -> None:
    run = started(SHOW, target=target, environment=environment("tiny"))
    assert PASSWORD not in (job_folder(run) / "job.json").read_text()
    monitor.wait_for_end(run)


def test_packages_that_are_not_what_was_locked_end_the_run(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels, client: docker.DockerClient
) -> None:
    needed = environment("tiny==1.0")
    run = placed(SHOW, target=target, environment=needed)
    lock_of(needed, {"machine": platform.machine()})
    wheels.add("tiny", "1.0", code="tampered = True")
    take_up(run)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.FAILED
    assert "Hash mismatch for `tiny==1.0`" in run.error
    why = run.error.removeprefix("The environment could not be made. ")
    assert f"The environment can't be made: {why}\n" in log_of(run)
    assert Build.objects.get().state == "failed"
    assert built(client) == []


def test_a_package_that_is_gone_is_named(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels, client: docker.DockerClient
) -> None:
    needed = environment("tiny==1.0")
    run = placed(SHOW, target=target, environment=needed)
    lock_of(needed, {"machine": platform.machine()})
    (wheels.folder / "tiny-1.0-py3-none-any.whl").unlink()
    take_up(run)
    monitor.wait_for_end(run)
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert "tiny==1.0" in run.error
    assert has_ended(client)


def test_a_dockerfile_is_the_base(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels
) -> None:
    needed = environment(
        "tiny", base_dockerfile=f"FROM {PYTHON}\nRUN echo of the base > /mark\n"
    )
    code = f"{SHOW}\nprint(open('/mark').read())"
    run = started(code, target=target, environment=needed)
    monitor.wait_for_end(run)
    assert f"1.5 {FOLDER}\nof the base" in log_of(run)


def test_an_image_is_used_as_it_is(
    monitor: Monitor, target: ComputeTarget, client: docker.DockerClient
) -> None:
    client.images.get(PYTHON).tag("aml-tests/own", "1")
    code = "import sys; print(sys.prefix)"
    run = started(code, target=target, environment=plain(base_image="aml-tests/own:1"))
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert FOLDER not in log_of(run)
    said = json.loads((job_folder(run) / "job.json").read_text())
    assert said["docker"]["image"] == "aml-tests/own:1"
    assert built(client) == []


def test_the_image_that_a_run_names_is_the_base(
    monitor: Monitor, target: ComputeTarget
) -> None:
    run = placed(
        "print('of the run')",
        target=target,
        environment=plain(base_image=BARE),
        launch={"image": PYTHON},
    )
    take_up(run)
    monitor.wait_for_end(run)
    assert log_of(run) == "of the run\n"


def test_another_image_under_the_name_of_the_base_is_built_on(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels, client: docker.DockerClient
) -> None:
    client.images.get(PYTHON).tag("aml-tests/own", "2")
    needed = environment("tiny", base_image="aml-tests/own:2")
    first = started(SHOW, target=target, environment=needed)
    monitor.wait_for_end(first)
    container = client.containers.create(PYTHON, ["true"])
    container.commit("aml-tests/own", "2", changes="ENV NEW=yes")
    container.remove()
    code = "import os; print(os.environ['NEW'])"
    second = started(code, target=target, environment=needed)
    monitor.wait_for_end(second)
    assert log_of(second).endswith("yes\n")
    assert len(built(client)) == 1


@pytest.mark.parametrize("has_sign_in", [True, False])
def test_a_dockerfile_may_be_from_the_registry_of_the_target(
    monitor: Monitor,
    docker_engine: DockerEngine,
    client: docker.DockerClient,
    has_sign_in: bool,
) -> None:
    with DockerRegistry() as registry:
        base = registry.push(client, PYTHON, "team/base:1")
        sign_in = {"registry_user": USER, "registry_password": PASSWORD_THERE}
        target = docker_target(
            docker_engine, registry=registry.address, **(sign_in if has_sign_in else {})
        )
        needed = plain(base_dockerfile=f"FROM {base}\n")
        run = started("print('of the base')", target=target, environment=needed)
        monitor.wait_for_end(run)
        if client.images.list(base):
            client.images.remove(base)
    if has_sign_in:
        assert log_of(run).endswith("of the base\n"), run.error
    else:
        assert "does not let the portal sign in" in run.error


def test_two_runs_at_once_make_one_build(
    monitor: Monitor, target: ComputeTarget, wheels: Wheels
) -> None:
    needed = environment("tiny")
    lock_of(needed, {"machine": platform.machine()})
    runs = [placed(SHOW, target=target, environment=needed) for _ in range(2)]
    threads = [in_background(run) for run in runs]
    for run, thread in zip(runs, threads, strict=True):
        thread.join(60)
        monitor.wait_for_end(run)
    assert [run.status for run in runs] == [RunStatus.COMPLETED] * 2
    logs = [log_of(run) for run in runs]
    assert sum("Step 1/" in log for log in logs) == 1
    assert sum("Another run builds this image; this one waits." in log for log in logs)


def test_pip_builds_where_the_uv_of_the_portal_can_not(
    monitor: Monitor,
    target: ComputeTarget,
    wheels: Wheels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed = environment("tiny")
    run = placed(SHOW, target=target, environment=needed)
    lock_of(needed, {"machine": platform.machine()})
    # As host.facts() has it, which else would be asked of the same function.
    facts = {"machine": platform.machine(), "glibc": "2.31"}
    monkeypatch.setattr("environments.images.platform.machine", lambda: "another")
    ComputeTarget.objects.filter(pk=target.pk).update(facts=facts)
    take_up(run)
    monitor.wait_for_end(run)
    assert "-m pip install" in log_of(run).replace('","', " ").replace('", "', " ")
    assert log_of(run).endswith(f"1.5 {FOLDER}\n"), run.error


def test_an_engine_that_is_elsewhere_builds_too(
    monitor: Monitor, docker_engine: DockerEngine, wheels: Wheels, client: object
) -> None:
    copying = docker_target(docker_engine, copies="on")
    run = started(SHOW, target=copying, environment=environment("tiny"))
    monitor.wait_for_end(run)
    assert log_of(run).endswith(f"1.5 {FOLDER}\n"), run.error


def test_the_engine_of_another_machine_builds(
    docker_engine: DockerEngine, wheels: Wheels, client: object, tmp_path: Path
) -> None:
    with Sshd() as sshd:
        machine = factories.machine(sshd, tmp_path / "far", max_runs=50)
        target = docker_target(docker_engine, machine=machine.pk)
        monitor = Monitor()
        monitor.begin(host_of(target))
        run = started(SHOW, target=target, environment=environment("tiny"))
        monitor.wait_for_end(run)
        monitor.stop()
    assert log_of(run).endswith(f"1.5 {FOLDER}\n"), run.error
    assert Build.objects.get().machine == machine
