"""A real ssh-agent for tests, which holds the keys that a test adds."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.services.service import Service
from tests.waiting import eventually


class SshAgent(Service):
    """It is named to no one by itself."""

    def __init__(self) -> None:
        # Short, since a socket's path has to be.
        self.folder = Path(tempfile.mkdtemp(prefix="aml-agent-"))
        self.socket = self.folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, key: str) -> None:
        command = ["ssh-add", "-q", "-"]
        env = {**os.environ, "SSH_AUTH_SOCK": str(self.socket)}
        subprocess.run(command, input=key.encode(), env=env, check=True)

    def start(self) -> None:
        self._process = subprocess.Popen(["ssh-agent", "-D", "-a", str(self.socket)])
        eventually(self.socket.exists, "the agent is there")

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)
