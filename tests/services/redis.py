"""Redis servers for tests."""

import subprocess
import tempfile
from pathlib import Path
from typing import Self

import redis

from aml_portal.broker import broker_url
from aml_portal.redis_server import find_server, server_command
from tests.services.service import Service
from tests.waiting import eventually, free_port


class RedisServer(Service):
    """A server for the length of a `with` block."""

    def __init__(self, command: list[str], url: str) -> None:
        self._command = command
        self.url = url
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def embedded(cls, data: Path) -> Self:
        """The one that `serve` starts for this data folder."""
        return cls(server_command(data), broker_url(data))

    @classmethod
    def on_port(cls) -> Self:
        """One of somebody else, reached over TCP."""
        port = free_port()
        folder = tempfile.mkdtemp(prefix="aml-redis-")
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        return cls([find_server(), *options], f"redis://127.0.0.1:{port}/0")

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    @property
    def pid(self) -> int:
        assert self._process is not None, "It does not run."
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, "Redis answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False
