"""Runs a program on the portal's machine, no longer than it may take."""

import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Bytes of address space: what they read is of strangers, who might never end. The
# largest that the tests know of takes a quarter.
_MEMORY = 4 << 30


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
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            output, remarks = process.communicate(given, timeout=seconds)
        except BaseException as error:
            # With what it may have started; else it would be waited for.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ProgramTimeout from error
            raise
    return process.returncode, output, remarks
