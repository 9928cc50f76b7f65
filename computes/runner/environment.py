"""The environments that jobs have, made once for all jobs that need the same.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
Beside the folder of the jobs there is one of environments:

    KEY/          a virtual environment
    KEY.json      what it is and what it took; written last, so that what died half way
                  never looks finished
    KEY.lock      held alone by who builds or removes it, shared by all who use it
    cache/        what was fetched for them: package_cache.py

What makes them is building.py, in a process of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
from typing import Any, Callable, ContextManager, Dict, List, Optional

# The folder that Python was given is the first in its path.
from locks import locked, open_lock, take  # type: ignore[import-not-found]
from runner import (  # type: ignore[import-not-found]
    Job,
    Refused,
    read_json,
    remove_tree,
)

Json = Dict[str, Any]
# Told what becomes of an environment, as fields of an event.
Tell = Callable[..., None]

# In the folder of environments, and none itself.
_CACHE = "cache"


def root_of(jobs: str) -> str:
    """The folder of environments beside that of the jobs."""
    return os.path.join(os.path.dirname(jobs), "environments")


class Environment:
    """`with_conda`: it has packages of conda, which find their files by a variable."""

    def __init__(self, root: str, key: str, *, with_conda: bool = False) -> None:
        self.root = root
        self.key = key
        self.folder = os.path.join(root, key)
        self.python = os.path.join(self.folder, "bin", "python")
        self.facts = self.folder + ".json"
        self._lock = self.folder + ".lock"
        self._with_conda = with_conda

    @classmethod
    def of(cls, job: Job) -> "Environment":
        """The one that a job asks for."""
        asked = (job.read("job.json") or {})["prepare"]
        root, has_conda = root_of(os.path.dirname(job.folder)), bool(asked.get("conda"))
        return cls(root, asked["key"], with_conda=has_conda)

    @property
    def variables(self) -> Dict[str, str]:
        """What programs find it by."""
        path = os.path.dirname(self.python) + os.pathsep
        found = {"PATH": path + os.environ.get("PATH", os.defpath)}
        return dict(found, CONDA_PREFIX=self.folder) if self._with_conda else found

    def is_ready(self) -> bool:
        return read_json(self.facts) is not None and os.path.exists(self.python)

    def hold(self) -> Optional[int]:
        """Keep it from being removed, as long as this descriptor is open.

        None, at once, if it is not there, or somebody is just about to change it.
        """
        if not self.is_ready():
            return None
        # Whoever builds it finds out why its lock can't be opened.
        with contextlib.suppress(OSError):
            descriptor: int = open_lock(self._lock)
            with contextlib.suppress(OSError):
                # Between the first look and the lock it may have gone.
                if take(descriptor, fcntl.LOCK_SH, wait=False) and self.is_ready():
                    return descriptor
            os.close(descriptor)
        return None

    def lock(self, how: int, *, wait: bool = True) -> ContextManager[bool]:
        """Hold its lock, alone or with others; yields whether it was to be had."""
        held: ContextManager[bool] = locked(self._lock, how, wait=wait)
        return held

    def note_use(self, tell: Tell) -> None:
        with contextlib.suppress(OSError):
            os.utime(self.facts)
        tell(state="hit", key=self.key, bytes=self.size)

    @property
    def size(self) -> Optional[int]:
        """In bytes; None if it was never finished."""
        return (read_json(self.facts) or {}).get("bytes")

    @property
    def used(self) -> float:
        """When it was used last; if it was never finished, when it was begun."""
        for path in (self.facts, self.folder):
            with contextlib.suppress(OSError):
                return os.stat(path).st_mtime
        return 0.0

    def remove(self) -> None:
        """Remove all of it; who calls this has the lock alone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.facts)
        if not remove_tree(self.folder):
            raise OSError(errno.EACCES, "It could not be removed", self.folder)


def known(root: str) -> List[Environment]:
    """All that are there, finished or not; what was not used for longest is first."""
    keys = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            key, dot, suffix = entry.name.partition(".")
            if suffix == "json" or (not dot and entry.is_dir(follow_symlinks=False)):
                keys.add(key)
    found = [Environment(root, key) for key in sorted(keys - {_CACHE})]
    return sorted(found, key=lambda each: each.used)


def remove_unused(root: str, keep_bytes: int, tell: Tell, *, but: str) -> int:
    """Remove what builds that died have left, and of the others those that were not
    used for longest, until the rest is small enough; how many bytes that has.

    One stays anyhow: `but`, which is about to be used.
    """
    environments = known(root)
    total = sum(each.size or 0 for each in environments)
    for environment in environments:
        size = environment.size
        is_too_much = size is None or total > keep_bytes
        if is_too_much and environment.key != but and _remove_if_unused(environment):
            total -= size or 0
            tell(state="removed", key=environment.key)
    return total


def _remove_if_unused(environment: Environment) -> bool:
    with environment.lock(fcntl.LOCK_EX, wait=False) as mine:
        if mine:
            with contextlib.suppress(OSError):
                environment.remove()
                return True
    return False


# For the portal, which shows what is there


def answer(jobs: str, *, remove: str = "") -> Json:
    """What nobody uses or builds at this moment, after one was removed.

    Absent is fine. Raises Refused if that is in use.
    """
    root = root_of(jobs)
    environments = known(root)
    for each in environments:
        if each.key == remove and not _remove_if_unused(each):
            raise Refused("The environment is in use, or can't be removed.")
    return {"environments": [_about(each) for each in environments if _is_idle(each)]}


def _is_idle(environment: Environment) -> bool:
    with environment.lock(fcntl.LOCK_EX, wait=False) as mine:
        return mine and os.path.isdir(environment.folder)


def _about(environment: Environment) -> Json:
    facts = {"bytes": environment.size, "used": environment.used}
    return {"key": environment.key, **facts}


def main(_verb: str, jobs: str, remove: str = "") -> int:
    """Answer the portal of this machine, which asks for it as for other verbs."""
    try:
        said = answer(jobs, remove=remove)
    except (Refused, OSError) as error:
        sys.stderr.write("%s\n" % error)
        return 1
    sys.stdout.write(json.dumps(said) + "\n")
    return 0
