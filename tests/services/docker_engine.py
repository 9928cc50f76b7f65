"""A real Docker engine for tests, apart from any other on the machine; as root."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from tests.services.service import Service
from tests.waiting import eventually

# Not in the PATH of everybody.
_DOCKERD = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin")


class DockerEngine(Service):
    """Runs for the length of a `with` block, with a socket and a store of its own.

    It leaves the machine's network alone: containers have the host's, or none.
    """

    def __init__(self, *options: str, disk_bytes: int | None = None) -> None:
        assert os.geteuid() == 0, "Only root can start a Docker engine."
        assert _DOCKERD, "The tests of Docker need dockerd: run make test-install."
        self.folder = Path(tempfile.mkdtemp(prefix="aml-docker-"))
        self.socket = self.folder / "docker.sock"
        self._options = options
        if disk_bytes is not None:
            self._make_disk(disk_bytes)
        self._process: subprocess.Popen[bytes] | None = None
        self._containerd: subprocess.Popen[bytes] | None = None

    def _make_disk(self, size: int) -> None:
        data = self.folder / "data"
        data.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(data)]
        subprocess.run(command, check=True)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.url, timeout=60)

    def start(self) -> None:
        """Start it as it is after an installation, and wait until it answers."""
        assert self._process is None, "It runs already."
        if self._containerd is None:
            self._containerd = self._launch(self._containerd_command())
            eventually(self._containers.exists, "containerd answers")
        self._process = self._launch(
            [
                str(_DOCKERD),
                f"--host={self.url}",
                f"--data-root={self.folder / 'data'}",
                f"--exec-root={self.folder / 'exec'}",
                f"--pidfile={self.folder / 'pid'}",
                f"--containerd={self._containers}",
                "--bridge=none",
                "--iptables=false",
                *self._options,
            ]
        )
        eventually(self._has_spoken, "the Docker engine answers, or gives up", 60)
        assert self._process.poll() is None, (self.folder / "log").read_text()[-3000:]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it: unless it is killed, it ends the containers first."""
        assert self._process is not None, "It does not run."
        process, self._process = self._process, None
        process.send_signal(number)
        process.wait(60)

    def kill(self) -> None:
        """Kill it as nothing can be prepared for; containers go on for now."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _has_spoken(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return True
        try:
            with contextlib.closing(self.client()) as client:
                return bool(client.ping())
        except (DockerException, requests.RequestException):
            return False

    @property
    def _containers(self) -> Path:
        return self.folder / "containerd.sock"

    def _containerd_command(self) -> list[str]:
        """It is a service of its own on Debian, too, and outlives a killed dockerd."""
        (self.folder / "containerd.toml").write_text("version = 2\n")
        return [
            "containerd",
            f"--config={self.folder / 'containerd.toml'}",
            f"--root={self.folder / 'containerd'}",
            f"--state={self.folder / 'containerd-state'}",
            f"--address={self._containers}",
        ]

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )

    def _remove_all(self) -> None:
        """Leave no container and no mount, whatever the tests have done."""
        if self._process is None:
            self.start()
        with contextlib.closing(self.client()) as client:
            for container in client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True)
        self.stop()

    def _end_containerd(self) -> None:
        if self._containerd is not None:
            self._containerd.terminate()
            self._containerd.wait(30)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (place := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=True)

    def close(self) -> None:
        try:
            self._remove_all()
        finally:
            self._end_containerd()
            shutil.rmtree(self.folder, ignore_errors=True)
