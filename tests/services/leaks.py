"""Looks for a text in all places where it should not be."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
from django.conf import settings
from django.db import connection

from tests.services.redis import RedisServer


def leaks(
    text: str,
    *folders: Path,
    redis: RedisServer,
    engine: docker.DockerClient | None = None,
) -> list[str]:
    """Where it is: files, command lines, the database, Redis, what engines tell."""
    found = [*_in_files(text, settings.DATA, *folders), *_in_command_lines(text)]
    # The test process has its database in memory.
    if any(text in line for line in connection.connection.iterdump()):
        found.append("the database")
    keys = redis.client.scan_iter()
    if any(text.encode() in (redis.client.dump(key) or b"") for key in keys):
        found.append("Redis")
    if engine and text in json.dumps(list(_inspected(engine))):
        found.append("the Docker engine")
    return found


def _in_files(text: str, *folders: Path) -> list[str]:
    # Not in the arguments, where it would be found itself.
    command = ["grep", "-rlF", "--devices=skip", "--file=-", *map(str, folders)]
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    return done.stdout.decode().splitlines()


def _in_command_lines(text: str) -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if text.encode() in words:
            yield str(path)


def _inspected(engine: docker.DockerClient) -> Iterator[object]:
    for container in engine.containers.list(all=True, ignore_removed=True):
        yield container.attrs
        yield container.logs().decode(errors="replace")
