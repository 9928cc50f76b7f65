"""Hosts as tests ask them, and the jobs that these have there."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from computes.hosts import Host, Source
from tests.computes.objects import source
from tests.waiting import eventually


@dataclass(frozen=True, kw_only=True)
class Place:
    """A host, its job folders as the tests may look at them, and the portal's store.

    `keeps` says that it has objects of its own, which it has to be sent. The `job` is
    the one that it has.
    """

    host: Host
    jobs: Path
    objects: Path
    keeps: bool
    job: str = "job"

    def stage(self, files: dict[str, bytes], **changes: Any) -> set[str]:
        return set(
            self.host.stage(self.job, spec(id=self.job, **changes), self.source(files))
        )

    def source(self, files: dict[str, bytes]) -> Source:
        return source(self.objects, files)

    def last_word(self) -> dict[str, Any]:
        path = self.jobs / self.job / "exit.json"
        eventually(path.exists, "the job has ended")
        word: dict[str, Any] = json.loads(path.read_bytes())
        return word

    def log(self) -> str:
        path = self.jobs / self.job / "logs/std_log.txt"
        return path.read_text() if path.exists() else ""


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "id": "job",
        "argv": [sys.executable, "train.py"],
        "cwd": "work",
        "env": {},
        "grace_seconds": 5.0,
        "max_duration_seconds": None,
        "collect": ["outputs", "logs"],
        **changes,
    }
