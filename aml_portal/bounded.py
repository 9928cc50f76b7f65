"""Runs a program of the portal's own on what may be hostile, so that it can't hang or
fill the process that asks.
"""

import subprocess
import sys
from pathlib import Path


def run_bounded(program: Path, given: bytes, *, seconds: float) -> bytes | None:
    """What the Python `program` prints when it reads `given`.

    None if it fails or takes longer. It limits its own memory.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(program)],
            input=given,
            capture_output=True,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout
