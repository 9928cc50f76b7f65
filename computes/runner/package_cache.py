"""What was fetched for environments, in their folder `cache`, and how much it may be.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
uv and rattler keep each package unpacked in a folder of its own, and link its files
into the environments that have it, so that they are on the disk once. A package costs
something only while no environment has it. Removing it takes nothing away from one that
has it, and both fetch it anew when it is needed again.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import stat
from typing import ContextManager, List, NamedTuple, Optional

# The folder that Python was given is the first in its path.
from locks import locked  # type: ignore[import-not-found]

UV, CONDA = "cache", "cache/conda"
# The folders of packages, as uv and rattler name them.
_PACKAGES = (UV + "/archive-v*/*", CONDA + "/*")


class Package(NamedTuple):
    """One that no environment has; `used` is when the last one gave it up."""

    used: float
    path: str
    size: int


def used(root: str) -> ContextManager[bool]:
    """Have nobody remove packages that are fetched here and not linked yet."""
    held: ContextManager[bool] = locked(_lock_of(root), fcntl.LOCK_SH)
    return held


def trim(root: str, keep_bytes: int) -> None:
    """Remove packages that no environment has, until the rest of these is small enough.

    Those go first that were not used for longest. While others build, nothing is done.
    """
    with locked(_lock_of(root), fcntl.LOCK_EX, wait=False) as mine:
        packages = sorted(_unused(root)) if mine else []
        total = sum(each.size for each in packages)
        for package in packages:
            if total <= keep_bytes:
                return
            shutil.rmtree(package.path, ignore_errors=True)
            total -= package.size


def size_of(folder: str) -> int:
    """The bytes of its files, each once however many names it has."""
    seen = set()
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            facts = os.lstat(os.path.join(parent, name))
            if (facts.st_dev, facts.st_ino) not in seen:
                seen.add((facts.st_dev, facts.st_ino))
                total += facts.st_size
    return total


def _unused(root: str) -> List[Package]:
    # The name of a folder above may have brackets.
    inside = os.path.join(glob.escape(root), "")
    paths = [path for each in _PACKAGES for path in glob.glob(inside + each)]
    # A link could lead anywhere.
    folders = (path for path in paths if os.path.isdir(path))
    found = (_look_at(path) for path in folders if not os.path.islink(path))
    return [package for package in found if package]


def _look_at(path: str) -> Optional[Package]:
    """None if an environment has it, which the first of its linked files tells."""
    used, size = 0.0, 0
    for parent, _, names in os.walk(path):
        for name in names:
            facts = os.lstat(os.path.join(parent, name))
            if facts.st_nlink > 1 and stat.S_ISREG(facts.st_mode):
                return None
            size += facts.st_size
            # It changes with the number of links.
            used = max(used, facts.st_ctime)
    return Package(used, path, size)


def _lock_of(root: str) -> str:
    return os.path.join(root, "cache.lock")
