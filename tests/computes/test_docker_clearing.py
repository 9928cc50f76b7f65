"""Which environments an engine does not keep, and which it does."""

from collections.abc import Iterator

import docker
import pytest
from django.conf import settings

from computes.launchers.docker.clearing import note_use, remove_unused
from computes.launchers.docker.recipes import BASE, KEY, PORTAL, Image
from tests.runs.built_images import built, remove_built
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, build

_STEP = "RUN cat /bin/busybox > /{name}"


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    client = docker_engine.client()
    remove_built(client)
    yield client
    remove_built(client)


def made(client: docker.DockerClient, key: str, **labels: str) -> Image:
    """An image as the portal builds one, of about a megabyte on top of its base."""
    own = {KEY: key, PORTAL: settings.PORTAL_ID, BASE: _id(client, BARE), **labels}
    image = Image(name=f"aml-environment:{key}", key=key)
    text = f"FROM {BARE}\n{_STEP.format(name=key)}\n"
    build(client, text, tag=image.name, labels=own)
    return image


def _id(client: docker.DockerClient, name: str) -> str:
    return str(client.images.get(name).id)


def _own_size(client: docker.DockerClient, image: Image) -> int:
    sizes = [client.images.get(name).attrs["Size"] for name in (image.name, BARE)]
    return int(sizes[0] - sizes[1])


def keys(client: docker.DockerClient) -> set[str]:
    return {name.partition(":")[2] for name in built(client)}


def test_those_that_were_not_used_for_longest_go_first(
    client: docker.DockerClient,
) -> None:
    first, second, third = (made(client, key) for key in ("one", "two", "three"))
    note_use(client.api, first)
    room = 2 * _own_size(client, third)
    assert list(remove_unused(client.api, room, third)) == ["two"]
    assert keys(client) == {"one", "three"}
    assert list(remove_unused(client.api, room, third)) == []
    assert second.key not in keys(client)


def test_what_is_in_use_is_kept(client: docker.DockerClient) -> None:
    used, stopped, newest = (made(client, key) for key in ("used", "stopped", "new"))
    base = made(client, "base")
    made(client, "upon", **{BASE: _id(client, base.name)})
    running = client.containers.run(
        used.name, ["sleep", "600"], detach=True, network_mode="none"
    )
    client.containers.create(stopped.name, ["true"])
    try:
        assert list(remove_unused(client.api, 0, newest)) == ["upon"]
        assert keys(client) == {"used", "stopped", "new", "base"}
        assert list(remove_unused(client.api, 0, newest)) == ["base"]
    finally:
        running.remove(force=True)


def test_what_others_have_built_is_left_alone(client: docker.DockerClient) -> None:
    newest = made(client, "new")
    made(client, "foreign", **{PORTAL: "another"})
    build(client, f"FROM {BARE}\n{_STEP.format(name='own')}\n", tag="aml-tests/own:9")
    try:
        assert list(remove_unused(client.api, 0, newest)) == []
        assert _id(client, "aml-tests/own:9")
        assert keys(client) == {"new", "foreign"}
    finally:
        client.images.remove("aml-tests/own:9", force=True)
