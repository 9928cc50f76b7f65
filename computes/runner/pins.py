"""Takes a lock apart: an installer that asks for hashes wants all packages to have one.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import re
from typing import List, Tuple

# What is taken from a repository; uv names the commit, which stands for a hash.
_OF_REPOSITORY = re.compile(r"[\w.-]+(\[[\w.,-]*\])? @ git\+\S+@[0-9a-f]{40}")
HASHED = ["--no-deps", "--require-hashes", "-r"]
_UNHASHED = ["--no-deps", "-r"]


def steps(lock: str) -> List[Tuple[List[str], str]]:
    """Which options to install with, one after another, and what.

    Both are for pip and uv alike; nothing is taken that has neither hash nor commit.
    """
    options, hashed, unhashed = [], [], []
    for line in lock.splitlines():
        if line.startswith("-"):
            options.append(line)
        elif _OF_REPOSITORY.match(line):
            unhashed.append(line)
        else:
            hashed.append(line)
    parts = [(HASHED, hashed), (_UNHASHED, unhashed)]
    return [
        (list(words), "\n".join(options + lines) + "\n")
        for words, lines in parts
        if any(line and not line.startswith("#") for line in lines)
    ]
