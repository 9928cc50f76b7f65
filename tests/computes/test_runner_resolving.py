"""What the runner answers of packages that have to be built to be known."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from computes.runner import RUNNER
from tests.computes.jobs import write_program
from tests.waiting import eventually


def answer(tmp_path: Path, script: str, seconds: float = 60) -> dict[str, Any]:
    """Of a uv that does what a script says."""
    asked = {
        "uv": str(write_program(tmp_path / "uv", f"#!/bin/sh\n{script}\n")),
        "arguments": ["pip", "compile"],
        "files": {"requirements.in": "made\n"},
        "env": {"FOLDER": str(tmp_path)},
        "seconds": seconds,
    }
    package, job = RUNNER.parent, tmp_path / "root/jobs/job"
    done = subprocess.run(
        [sys.executable, "-I", "-S", package, "resolve", job],
        input=json.dumps(asked).encode(),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_it_is_what_uv_says_of_the_files(tmp_path: Path) -> None:
    said = answer(tmp_path, "cat requirements.in; echo error: no libfoo >&2; exit 3")
    assert said == {
        "code": 3,
        "out": "made\n",
        "err": "error: no libfoo\n",
        "reason": "no libfoo",
    }


def test_a_build_without_end_is_ended_with_all_that_it_has_started(
    tmp_path: Path,
) -> None:
    away = 'echo $$ > "$FOLDER/pid"; exec sleep 600'
    said = answer(tmp_path, f"setsid sh -c '{away}' &\nsleep 600", seconds=1)
    assert (said["code"], said["out"]) == (1, "")
    assert said["reason"] == "Failed to build; it took longer than 1 seconds"
    pid = (tmp_path / "pid").read_text().strip()
    eventually(lambda: not Path("/proc", pid).exists(), "nothing is left of it")
