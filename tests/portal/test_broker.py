"""Where Redis is found, and that nobody else can pretend to be it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured

from aml_portal.broker import (
    SOCKET_PATH_LIMIT,
    broker_url,
    check_private,
    make_private,
    socket_path,
)
from aml_portal.errors import PortalError
from aml_portal.redis_server import find_server
from tests.services.redis import RedisServer


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder in which a socket's path would be too long."""
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    yield folder
    shutil.rmtree(socket_path(folder).parent, ignore_errors=True)


def test_the_embedded_server_is_reached_by_a_socket_in_the_data_folder(
    tmp_path: Path,
) -> None:
    assert broker_url(tmp_path) == f"unix://{tmp_path}/redis/redis.sock?db=0"


def test_another_server_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://example.org:6379/1")
    assert broker_url(tmp_path) == "redis://example.org:6379/1"


def test_a_long_path_gets_a_short_socket(deep_folder: Path) -> None:
    socket = socket_path(deep_folder)
    assert len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT
    assert socket == socket_path(deep_folder)
    assert socket != socket_path(deep_folder / "other")


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "#1", "ünï"])
def test_a_path_with_any_characters_is_reached(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    data.mkdir()
    with RedisServer.embedded(data):
        assert redis.Redis.from_url(broker_url(data)).ping()


def test_a_server_with_a_long_path_is_reached(deep_folder: Path) -> None:
    with RedisServer.embedded(deep_folder):
        assert redis.Redis.from_url(broker_url(deep_folder)).ping()


def test_the_socket_is_for_this_user_alone(tmp_path: Path) -> None:
    with RedisServer.embedded(tmp_path):
        assert socket_path(tmp_path).stat().st_mode & 0o777 == 0o700
        assert socket_path(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_enter_is_refused(deep_folder: Path) -> None:
    folder = socket_path(deep_folder).parent
    folder.mkdir(mode=0o755)
    with pytest.raises(ImproperlyConfigured, match="mode 700"):
        broker_url(deep_folder)


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(ImproperlyConfigured):
        make_private(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(ImproperlyConfigured):
        check_private(folder)


def test_what_was_written_survives_a_killed_server(tmp_path: Path) -> None:
    with RedisServer.embedded(tmp_path) as server:
        server.client.set("key", "value")
        server.kill()
        server.start()
        assert server.client.get("key") == b"value"


def test_a_server_in_the_path_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == str(program)


def test_without_any_server_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PortalError, match=r"Install valkey-server .* REDIS_URL"):
        find_server()
