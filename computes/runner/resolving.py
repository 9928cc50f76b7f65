"""Resolves packages of which some have to be built before it is known what they need.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
A build runs code of the package, so that is done where the environment is made, and not
on the portal's machine. Standard input and output are JSON: `uv`, its `arguments`, the
`files` that these name, and `env`; and then its exit code, what it said, and `reason`:
why it failed, in a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict

# The folder that Python was given is the first in its path.
from environment import root_of  # type: ignore[import-not-found]
from package_cache import UV, used  # type: ignore[import-not-found]
from reasons import Reason  # type: ignore[import-not-found]


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
        done = subprocess.run(
            [asked["uv"], *asked["arguments"]],
            cwd=place,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    out, err = (each.decode(errors="replace") for each in (done.stdout, done.stderr))
    reason = Reason()
    for line in err.splitlines():
        reason.hear(line)
    said = {"code": done.returncode, "out": out, "err": err, "reason": str(reason)}
    sys.stdout.write(json.dumps(said))
    return 0
