"""Jobs in containers, as the launcher is asked to start them."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import docker
from docker.models.containers import Container

from computes.hosts import Host
from computes.hosts.local import LocalHost
from computes.launchers.base import Sight
from computes.launchers.docker.launcher import DockerLauncher
from computes.launchers.docker.settings import DockerSettings
from computes.launchers.recipes import PackageSources
from tests.computes.objects import source
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON
from tests.waiting import eventually

WAITS = "import time; print('ready', flush=True); time.sleep(600)"


@dataclass(frozen=True, kw_only=True)
class Dock:
    """A host with a Docker engine; `jobs` are its job folders."""

    host: Host
    jobs: Path
    store: Path
    engine: DockerEngine
    client: docker.DockerClient

    @classmethod
    def here(cls, engine: DockerEngine, folder: Path) -> Self:
        """This machine, which has all below `folder`."""
        return cls(
            host=LocalHost(folder / "jobs"),
            jobs=folder / "jobs",
            store=folder / "store",
            engine=engine,
            client=engine.client(),
        )

    def launcher(self, **settings: Any) -> DockerLauncher:
        own = {"image": PYTHON, "network": "none", "socket": str(self.engine.socket)}
        known = DockerSettings(**{**own, **settings})
        return DockerLauncher(self.host, known)

    def job(
        self,
        code: str,
        options: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> "DockerJob":
        """A job that is staged, and not started yet."""
        launcher, name = self.launcher(**settings), f"job_{uuid.uuid4().hex[:8]}"
        plain = {
            "id": name,
            "argv": [settings.get("python", "python3"), "train.py"],
            "cwd": "work",
            "env": dict(env or {}),
            "grace_seconds": 1.0,
            "max_duration_seconds": None,
            "collect": ["outputs", "logs"],
        }
        spec = launcher.spec(plain, options or {})
        files = {"train.py": code.encode()}
        self.host.stage(name, spec, source(self.store, files))
        return DockerJob(dock=self, launcher=launcher, name=name, spec=spec)

    def started(self, code: str = WAITS, **settings: Any) -> "DockerJob":
        job = self.job(code, **settings)
        job.start()
        return job


@dataclass(frozen=True, kw_only=True)
class DockerJob:
    dock: Dock
    launcher: DockerLauncher
    name: str
    spec: dict[str, Any]

    def start(self) -> dict[str, Any]:
        launcher, job, spec = self.launcher, self.name, self.spec
        if not launcher.find_image(job, spec):
            launcher.bring_image(job, spec, PackageSources(), lambda: True)
        return launcher.start(job, spec)

    @property
    def folder(self) -> Path:
        return self.dock.jobs / self.name

    @property
    def container(self) -> Container:
        return self.dock.client.containers.get(f"aml-{self.name}")

    @property
    def log(self) -> str:
        path = self.folder / "logs/std_log.txt"
        return path.read_text() if path.exists() else ""

    def sight(self) -> Any:
        return self.launcher.look([self.name]).get(self.name, Sight())

    def is_there(self) -> bool:
        """Whether anything of it is, a container or a process."""
        containers = self.dock.client.containers.list(
            all=True, filters={"name": self.name}, ignore_removed=True
        )
        return bool(containers) or any(
            self.name in command for command in _commands_of_all()
        )

    def says(self, words: str) -> None:
        eventually(lambda: words in self.log, f"the script says {words}")

    def last_word(self) -> dict[str, Any]:
        path = self.folder / "exit.json"
        self.wait(path.exists, "the job has ended")
        word: dict[str, Any] = json.loads(path.read_bytes())
        return word

    def wait(self, look: Callable[[], object], what: str) -> None:
        eventually(look, f"{what} ({self.sight()})")


def _commands_of_all() -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_text(errors="replace"))
        except OSError:
            continue
    return found
