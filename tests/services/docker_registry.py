"""A real registry of Docker images for tests, on a free port of this machine."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import bcrypt
import docker
import httpx

from tests.services.service import Service
from tests.waiting import eventually, free_port

USER, PASSWORD = "ada", "the registry's password"
_SETTINGS = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/store}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: tests, path: {folder}/accounts}}}}
"""


class DockerRegistry(Service):
    """Wants `USER` and `PASSWORD`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aml-registry-"))
        # Engines trust one on loopback without TLS.
        self.address = f"127.0.0.1:{free_port()}"

    def push(self, client: docker.DockerClient, image: str, name: str) -> str:
        """Put an image of an engine here as `name`, and away there; its whole name."""
        repository, tag = name.split(":")
        there = f"{self.address}/{repository}"
        client.images.get(image).tag(there, tag)
        login = {"username": USER, "password": PASSWORD}
        said = client.api.push(there, tag, auth_config=login)
        assert "errorDetail" not in said, said
        client.images.remove(f"{there}:{tag}")
        return f"{there}:{tag}"

    def start(self) -> None:
        secret = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "accounts").write_text(f"{USER}:{secret}\n")
        settings = _SETTINGS.format(folder=self.folder, address=self.address)
        (self.folder / "settings.yml").write_text(settings)
        with (self.folder / "log").open("wb") as log:
            command = ["docker-registry", "serve", str(self.folder / "settings.yml")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(self._answers, "the registry answers")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            answer = httpx.get(f"http://{self.address}/v2/", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.UNAUTHORIZED
