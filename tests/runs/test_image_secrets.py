"""What a build must know of the portal's indexes, and what nobody finds afterwards."""

import io
import json
import platform
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from django.test import override_settings

from computes.launchers.docker.recipes import Image, arguments_of, context_of
from environments.definition import CondaDependencies, Definition, PythonSection
from environments.images import package_sources, recipe_of
from environments.locks import lock_of
from environments.services import save_environment
from runs.mirror import mirror_folder
from runs.models import Run
from runs.status import EndReason, RunStatus
from tests.environments.conda_channel import PYTHON, CondaChannel
from tests.environments.wheels import Wheels, fetch_pinned
from tests.factories import docker_target
from tests.runs.built_images import built, environment, log_of, plain, remove_built
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON as PYTHON_IMAGE
from tests.services.file_server import serve_folder
from tests.services.monitor import Monitor, job_folder, started

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
PASSWORD, ACCOUNT = "the-index-password", "reader:the-index-password"
# Of the netrc file, and of no index.
ELSEWHERE = "a-password-for-something-else"


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    """Of an engine that has no environments before the test and after it."""
    client = docker_engine.client()
    remove_built(client)
    yield client
    remove_built(client)


@pytest.mark.parametrize("place", ["address", "netrc"])
def test_a_private_index_is_used_and_forgotten(
    monitor: Monitor,
    docker_engine: DockerEngine,
    client: docker.DockerClient,
    tmp_path: Path,
    place: str,
) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5", code=f"# {'x' * 100}")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine other.invalid login me password {ELSEWHERE}\n")
    with serve_folder(wheels.as_index(), ACCOUNT) as host:
        if place == "netrc":
            login = f"machine 127.0.0.1 login reader password {PASSWORD}\n"
            netrc.write_text(netrc.read_text() + login)
        known = f"{ACCOUNT}@" if place == "address" else ""
        with override_settings(
            PYTHON_INDEX=f"http://{known}{host}/simple",
            PYTHON_NETRC=str(netrc),
            PYTHON_NO_PROXY="127.0.0.1",
        ):
            run = started(
                "import tiny; print(tiny.VERSION)",
                target=docker_target(docker_engine, network="host"),
                environment=environment("tiny"),
            )
        monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert log_of(run).splitlines()[-1] == "1.5"
    for word in (PASSWORD, ELSEWHERE, host, "aml-build"):
        assert word.encode() not in everything(client), word
    for word in (PASSWORD, ELSEWHERE):
        assert word.encode() not in told_of(run), word


def test_a_build_that_fails_leaves_no_password(
    monitor: Monitor,
    docker_engine: DockerEngine,
    client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5")
    target, needed = docker_target(docker_engine, network="host"), environment("tiny")
    with (
        serve_folder(wheels.as_index(), ACCOUNT) as host,
        override_settings(PYTHON_INDEX=f"http://{ACCOUNT}@{host}/simple"),
    ):
        lock_of(needed, {"machine": platform.machine()})
        wheels.add("tiny", "1.5", code="tampered = True")
        run = started(target=target, environment=needed)
        monitor.wait_for_end(run)
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert "Hash mismatch for `tiny==1.5`" in run.error
    images = client.images.list(all=True)
    facts = json.dumps([[each.attrs, each.history()] for each in images])
    assert PASSWORD not in facts
    assert "aml-build" not in facts
    assert PASSWORD.encode() not in told_of(run)


def test_a_dockerfile_is_given_the_proxies_and_keeps_none(
    monitor: Monitor, docker_engine: DockerEngine, client: docker.DockerClient
) -> None:
    proxy = f"http://{ACCOUNT}@proxy.invalid:3128"
    step = "RUN test $http_proxy = $HTTPS_PROXY && echo $HTTP_PROXY"
    text = f"FROM {PYTHON_IMAGE}\n{step}\n"
    with override_settings(PYTHON_PROXY=proxy):
        run = started(
            target=docker_target(docker_engine),
            environment=plain(base_dockerfile=text),
        )
    monitor.wait_for_end(run)
    assert "http://reader:***@proxy.invalid:3128" in log_of(run)
    assert PASSWORD.encode() not in told_of(run)
    assert b"proxy.invalid" not in everything(client)


def test_packages_of_conda_are_in_the_image(
    monitor: Monitor,
    docker_engine: DockerEngine,
    client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    wheels, installer = Wheels(tmp_path / "wheels"), tmp_path / "installer"
    wheels.add("tiny", "1.5")
    fetch_pinned("rattler", installer)
    channel = CondaChannel(tmp_path / "channels/team")
    channel.add("core", "2.0", {"share/core.txt": b"core"})
    channel.add_module("numlib", "2.0", ["core >=2"])
    channel.index()
    script = (
        "import numlib, tiny, os, sys\n"
        "print(numlib.VERSION, tiny.VERSION, sys.prefix == os.environ['CONDA_PREFIX'])"
    )
    with (
        serve_folder(tmp_path / "channels", ACCOUNT) as host,
        override_settings(
            PYTHON_INDEX=f"file://{tmp_path}/none",
            PYTHON_FIND_LINKS=[str(wheels.folder), str(installer)],
            CONDA_CHANNEL_ALIAS=f"http://{ACCOUNT}@{host}",
        ),
    ):
        needed = conda_environment("team")
        run = started(
            script,
            target=docker_target(docker_engine, network="host"),
            environment=needed,
        )
        monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error + log_of(run)
    assert log_of(run).splitlines()[-1] == "2.0 1.5 True"
    assert {"Installing numlib", "Fetching core 2.0"} <= set(log_of(run).splitlines())
    assert PASSWORD.encode() not in told_of(run)
    assert PASSWORD.encode() not in everything(client)


def test_packages_of_conda_in_a_folder_of_the_portal_are_sent(tmp_path: Path) -> None:
    channel = CondaChannel(tmp_path / "team")
    channel.add("core", "2.0", {"share/core.txt": b"core"})
    channel.add("unwanted", "2.0", {"share/unwanted.txt": b"unwanted"})
    channel.index()
    with override_settings(CONDA_CHANNEL_ALIAS=f"file://{tmp_path}"):
        needed = conda_environment("team", "core")
        lock = lock_of(needed, {"machine": "x86_64", "glibc": "2.31"})
        recipe, sources = recipe_of(needed, lock), package_sources(lock, "x86_64")
    names = {Path(name).name for name in sources.files if name.startswith("conda/")}
    assert names == {f"python-{PYTHON}-0.tar.bz2", "core-2.0-0.tar.bz2"}
    sent = {f"file:///aml-build/{name}" for name in sources.files}
    assert {each["url"] for each in json.loads(recipe.conda)} <= sent


def test_passwords_are_in_no_file_that_is_sent(tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(
        f"machine a.invalid login reader password {PASSWORD}\n"
        f"machine other.invalid login me password {ELSEWHERE}\n"
    )
    needed = save_environment(name="none", definition=Definition.of_packages("tiny"))
    lock = needed.locks.create(
        platform="x86_64-manylinux_2_28", python="3.11", text="tiny==1.0\n"
    )
    with override_settings(
        PYTHON_CA_BUNDLE="",
        PYTHON_INDEX="https://a.invalid/simple",
        PYTHON_EXTRA_INDEXES=[f"https://me:{PASSWORD}@b.invalid/simple"],
        PYTHON_PROXY=f"http://me:{PASSWORD}@proxy.invalid",
        PYTHON_NETRC=str(netrc),
    ):
        sources = package_sources(lock, "x86_64")
    image = Image.of(recipe_of(needed, lock), chosen="base:1", default="")
    context = io.BytesIO()
    context_of(image, sources, context, python="python3")
    with tarfile.open(fileobj=io.BytesIO(context.getvalue())) as archive:
        names = archive.getnames()
    assert set(names) == {"Dockerfile", "lock-0.txt", "uv"}
    assert PASSWORD.encode() not in context.getvalue()
    told = arguments_of(image, sources)
    assert told["UV_DEFAULT_INDEX"] == f"https://reader:{PASSWORD}@a.invalid/simple"
    assert ELSEWHERE not in json.dumps(told)
    assert PASSWORD not in sources.covered(f"It was {PASSWORD}")
    assert PASSWORD not in repr(sources)


def conda_environment(channel: str, package: str = "numlib") -> Any:
    conda = CondaDependencies(
        channels=(channel,),
        packages=(f"python={PYTHON[:4]}", package),
        pip=("tiny",) if package == "numlib" else (),
    )
    python = PythonSection(conda_dependencies=conda)
    return save_environment(name="numbers", definition=Definition(python=python))


def everything(client: docker.DockerClient) -> bytes:
    """All that the engine has of images: facts, history, layers."""
    images = client.images.list(all=True)
    facts = json.dumps([[each.attrs, each.history()] for each in images])
    (name,) = built(client)
    saved = b"".join(client.images.get(name).save())
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        layers = [
            found.read()
            for each in archive
            if each.isfile() and (found := archive.extractfile(each))
        ]
    return b"\n".join([facts.encode(), *layers])


def told_of(run: Run) -> bytes:
    """All that the portal and the job's folder have of a run, but for its source."""
    notes = json.dumps(list(run.events.values_list("detail", flat=True)))
    folders = [job_folder(run), mirror_folder(run.run_id)]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return notes.encode() + b"".join(path.read_bytes() for path in files)
