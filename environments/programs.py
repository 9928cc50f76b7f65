"""Runs a program on the portal's machine, no longer than it may take."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ProgramTimeout(Exception):
    """It took longer than it may."""


def run_program(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    given: bytes = b"",
) -> tuple[int, bytes, bytes]:
    """Its exit code, and what it wrote; `given` is its standard input.

    Raises ProgramTimeout.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            output, remarks = process.communicate(given, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            # With what it may have started.
            os.killpg(process.pid, signal.SIGKILL)
            raise ProgramTimeout from error
    return process.returncode, output, remarks
