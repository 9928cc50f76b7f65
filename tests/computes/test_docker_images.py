"""Images for jobs, from a real registry that wants a sign-in."""

import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aml_portal.errors import PortalError
from computes.hosts import TargetAwayError
from computes.launchers.docker import images
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import PackageSources
from tests.computes.docker_jobs import WAITS, Dock
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, PYTHON, load_foreign
from tests.services.docker_registry import PASSWORD, USER, DockerRegistry
from tests.waiting import free_port

Lines = list[bytes]


@pytest.fixture(scope="module")
def registry(docker_engine: DockerEngine) -> Iterator[DockerRegistry]:
    with DockerRegistry() as registry:
        yield registry


@pytest.fixture
def image(registry: DockerRegistry, docker_engine: DockerEngine) -> Iterator[str]:
    """One that the registry has, and that has a layer which the engine has not."""
    client = docker_engine.client()
    container = client.containers.create(BARE, ["true"])
    container.put_archive("/", _archive({"mark": os.urandom(3_000_000)}))
    container.commit("aml-tests/made", "1")
    container.remove()
    name = registry.push(client, "aml-tests/made:1", "team/image:1")
    client.images.remove("aml-tests/made:1")
    yield name
    if client.images.list(name):
        client.images.remove(name, force=True)


@pytest.fixture
def dock(docker_engine: DockerEngine, tmp_path: Path) -> Dock:
    return Dock.here(docker_engine, tmp_path)


def sign_in(registry: DockerRegistry, /, **changes: str) -> dict[str, Any]:
    known = {"registry_user": USER, "registry_password": PASSWORD}
    return {"registry": registry.address, **known} | changes


def pulled(engine: DockerEngine, image: str, **settings: Any) -> str:
    """What is told while an image is brought, or what is wrong."""
    told: Lines = []
    known = DockerSettings(**settings)
    try:
        images.pull(engine.client().api, image, known, told.append)
    except PortalError as error:
        return str(error)
    return b"".join(told).decode()


def test_it_is_brought_and_told_in_the_log(
    dock: Dock, registry: DockerRegistry, image: str
) -> None:
    """A Python of the host is mounted, since the images here are small."""
    places = [sys.base_prefix, "/lib", "/lib64"]
    mounts = "\n".join(f"{each}:{each}:ro" for each in places if Path(each).exists())
    program = str(Path(sys.executable).resolve())
    settings = {**sign_in(registry), "python": program, "mounts": mounts}
    job = dock.job("print('at work')", {"image": image}, **settings)
    job.start()
    assert job.last_word()["exit_code"] == 0, job.log
    first, *layers, last, said = job.log.splitlines()
    assert first == f"Pulling the image {image}"
    assert any(line.endswith(": Already exists") for line in layers)
    new = [line for line in layers if "exists" not in line]
    assert [line.split(": ")[1].split()[0] for line in new] == [
        *("Downloading", "Extracting", "Pull")
    ]
    assert "Downloading 3.0 MB" in new[0]
    assert (last, said) == (f"The image {image} is there", "at work")
    # It is there now.
    assert "Pulling" not in dock.started("print(1)", image=image).log


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"registry_password": "wrong"}, "does not let the portal sign in"),
        ({"registry_user": ""}, "does not let the portal sign in"),
        # The password is for one registry, whichever image somebody names.
        ({"registry": "127.0.0.1:1"}, "does not let the portal sign in"),
        ({"registry": ""}, "does not let the portal sign in"),
        ({}, "is there"),
    ],
)
def test_the_sign_in_is_for_its_registry(
    docker_engine: DockerEngine,
    registry: DockerRegistry,
    image: str,
    changes: dict[str, str],
    words: str,
) -> None:
    assert words in pulled(docker_engine, image, **sign_in(registry, **changes))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("team/nothing:1", "There is no image {name}, or it needs a sign-in. Check"),
        ("team/image:2", "There is no image {name}, or it needs a sign-in. Check"),
        ("Team/Image", "The image {name} can't be had: invalid reference format"),
    ],
)
def test_an_image_that_does_not_exist_is_told(
    docker_engine: DockerEngine, registry: DockerRegistry, name: str, words: str
) -> None:
    whole = f"{registry.address}/{name}"
    said = pulled(docker_engine, whole, **sign_in(registry))
    assert words.format(name=whole) in said


def test_a_registry_that_is_away_is_told(docker_engine: DockerEngine) -> None:
    for address in (f"127.0.0.1:{free_port()}", "registry.invalid"):
        said = pulled(docker_engine, f"{address}/team/image:1")
        assert "/team/image:1 can't be reached: Get" in said


def test_what_can_not_be_told_apart_is_given_as_it_was_said() -> None:
    said = {
        "write /var/lib/docker: no space left on device": "There is no room on the",
        "no matching manifest for linux/riscv64": "no image i for the processor",
        "toomanyrequests: slow down": "can't be had: toomanyrequests: slow down.",
    }
    for words, sentence in said.items():
        assert sentence in str(images.refusal("i", words))


def test_a_canceled_run_brings_no_image(
    dock: Dock, registry: DockerRegistry, image: str
) -> None:
    job = dock.job(WAITS, {"image": image}, **sign_in(registry))
    sources = PackageSources()
    assert not job.launcher.bring_image(job.name, job.spec, sources, lambda: False)
    assert job.log == ""
    assert not job.is_there()
    assert not dock.client.images.list(image)


def test_an_image_that_is_removed_before_the_start_is_brought_anew(dock: Dock) -> None:
    job = dock.job(WAITS, {"image": "aml-tests/gone:1"})
    with pytest.raises(TargetAwayError, match="was just removed"):
        job.launcher.start(job.name, job.spec)
    dock.client.images.get(PYTHON).tag("aml-tests/gone", "1")
    try:
        job.start()
        job.says("ready")
    finally:
        job.launcher.end(job.name)
        dock.client.images.remove("aml-tests/gone:1")


def test_a_check_asks_the_registry(
    dock: Dock, registry: DockerRegistry, image: str
) -> None:
    def ask(**settings: Any) -> dict[str, str]:
        checks = dock.launcher(image=image, **settings).checks()
        return {name: check() for name, check in checks.items()}

    found = ask(**sign_in(registry))
    assert found["Image"] == f"{image} is not there yet, and can be pulled."
    assert found["Job folders"] == "A run will tell, once its image is there."
    with pytest.raises(PortalError, match="does not let the portal sign in"):
        ask(**sign_in(registry, registry_password="wrong"))
    assert not dock.client.images.list(image)


def test_whether_one_is_for_another_processor(docker_engine: DockerEngine) -> None:
    client = docker_engine.client()
    name = load_foreign(client, "s390x")
    assert images.is_foreign(client.api, name)
    assert not images.is_foreign(client.api, BARE)
    assert not images.is_foreign(client.api, "aml-tests/nothing")


def _archive(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.TarFile(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()
