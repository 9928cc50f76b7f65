"""Jobs that need an environment, and what they leave on their machine."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from tests.computes.jobs import JobFolder
from tests.environments.wheels import Wheels

PYTHON = ".".join(platform.python_version_tuple()[:2])
KEY = "k" * 8
SHOW = "import sys, tiny; print(tiny.VERSION, sys.prefix, 'tiny' in sys.modules)"


def environments(tmp_path: Path) -> Path:
    return tmp_path / "root/environments"


def left(tmp_path: Path) -> set[str]:
    """All that is in the folder of environments."""
    return {path.name for path in environments(tmp_path).iterdir()}


def job(
    tmp_path: Path,
    wheels: Wheels,
    name: str = "job",
    env: Mapping[str, str] = {},
    **prepare: Any,
) -> JobFolder:
    """A job whose `prepare` is as given; `env` are the variables of its script."""
    asked = {
        "key": KEY,
        "python": PYTHON,
        "lock": "",
        "uv": find_uv_bin(),
        "keep_bytes": 10**9,
        **prepare,
    }
    script = SHOW if asked["lock"] else "import sys; print(sys.prefix)"
    argv = [str(environments(tmp_path) / asked["key"] / "bin/python"), "train.py"]
    folder = tmp_path / "root/jobs" / name
    made = JobFolder(folder, script, prepare=asked, argv=argv, env=dict(env))
    made.give_secrets(build={"env": wheels.settings})
    return made


def states(job: JobFolder) -> list[str]:
    """What it told of its environment."""
    told = job.lines("events.jsonl")
    return [each["state"] for each in told if each["event"] == "environment"]
