"""Runs commands for the portal, and writes into logs that no job writes yet.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import Any, Mapping, Optional, Sequence, Tuple

# More than any program has to say that the portal asks.
_MOST = 16 << 20


class Failed(Exception):
    """A command could not be run; the message is for a person."""


def run(
    command: Sequence[str],
    given: bytes,
    *,
    seconds: float,
    environment: Optional[Mapping[str, str]] = None,
) -> Tuple[int, bytes, bytes]:
    """The exit code of a command, what it printed, and what it complained of."""
    try:
        done = subprocess.run(
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
            env=environment,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = "%s did not end within %d seconds." % (command[0], seconds)
        raise Failed(message) from None
    except OSError as error:
        message = "%s can't be started: %s." % (command[0], error.strerror)
        raise Failed(message) from None
    return done.returncode, done.stdout[:_MOST], done.stderr[:_MOST]


def write_log(folder: str, data: bytes) -> None:
    """Append to the log of the job in `folder`, as its script will."""
    logs = os.path.join(folder, "logs")
    os.makedirs(logs, mode=0o700, exist_ok=True)
    _append(os.path.join(logs, "std_log.txt"), data)


def write_event(folder: str, event: str, facts: Mapping[str, Any]) -> None:
    """Tell of the job in `folder`, and how long its log is by now."""
    log_bytes = 0
    with contextlib.suppress(FileNotFoundError):
        log_bytes = os.stat(os.path.join(folder, "logs", "std_log.txt")).st_size
    told = dict(facts, time=time.time(), event=event, log_bytes=log_bytes)
    _append(os.path.join(folder, "events.jsonl"), json.dumps(told).encode() + b"\n")


def _append(path: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "ab") as file:
        file.write(data)
