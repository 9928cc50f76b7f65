"""Resolves packages of which some have to be built before it is known what they need.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
A build runs code of the package, so that is done where the environment is made, and not
on the portal's machine. Standard input and output are JSON: `uv`, its `arguments`, the
`files` that these name, `env`, and how many `seconds` it may take; and then its exit
code, what it said, and `reason`: why it failed, in a line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, Tuple

# The folder that Python was given is the first in its path.
from environment import root_of  # type: ignore[import-not-found]
from package_cache import UV, used  # type: ignore[import-not-found]
from reasons import Reason  # type: ignore[import-not-found]
from runner import (  # type: ignore[import-not-found]
    all_processes,
    become_reaper,
    descendants,
    send_signal,
)


def main(folder: str) -> int:
    """For the job that will be in `folder`, which need not be there yet."""
    asked: Dict[str, Any] = json.load(sys.stdin)
    root = root_of(os.path.dirname(folder))
    os.makedirs(root, mode=0o700, exist_ok=True)
    env = dict(os.environ, UV_CACHE_DIR=os.path.join(root, UV), **asked["env"])
    with used(root), tempfile.TemporaryDirectory() as place:
        for name, text in asked["files"].items():
            with open(os.path.join(place, name), "w", encoding="utf-8") as file:
                file.write(text)
        code, out, err = _run(
            [asked["uv"], *asked["arguments"]], place, env, asked["seconds"]
        )
    reason = Reason()
    for line in err.splitlines():
        reason.hear(line)
    said = {"code": code, "out": out, "err": err, "reason": str(reason)}
    sys.stdout.write(json.dumps(said))
    return 0


def _run(
    command: List[str], place: str, env: Dict[str, str], seconds: float
) -> Tuple[int, str, str]:
    """Its exit code, and what it said; nothing that it has started is left."""
    become_reaper()
    process = subprocess.Popen(
        command,
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        why = "error: Failed to build\ncause: it took longer than %d seconds" % seconds
        return 1, "", why
    finally:
        _end_all()
    words = (out.decode(errors="replace"), err.decode(errors="replace"))
    return (process.returncode, *words)


def _end_all() -> None:
    """End all processes that this one has, however far down."""
    while True:
        left = descendants([os.getpid()], all_processes())
        if not left:
            return
        for pid, began in left.items():
            send_signal(pid, began, signal.SIGKILL)
        time.sleep(0.05)
