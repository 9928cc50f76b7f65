"""Makes the environment that a job needs, once for all jobs that need the same.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
Beside the folder of the jobs there is one of environments:

    KEY/          a virtual environment
    KEY.json      what it is and what it took; written last, so that what died half way
                  never looks finished
    KEY.lock      held alone by who builds or removes it, shared by all who use it

What is built here is told in a job's `prepare`: `key`, the `lock` (a requirements file
with every version and hash), the `python` that it is for, `uv` (the program's path; pip
does it where there is none), `env` for the installer, and `keep_bytes`, beyond which
those that were not used for longest are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from typing import IO, Any, Dict, Iterator, List, Optional, Tuple

# The folder that Python was given is the first in its path.
from reasons import Reason  # type: ignore[import-not-found]
from runner import Job, read_json, write_json  # type: ignore[import-not-found]

Json = Dict[str, Any]


class Failed(Exception):
    """The environment can't be made; the message is for a person."""


def main(folder: str) -> int:
    """Make the environment of the job in `folder`; prepared.json says where it is."""
    job = Job(folder)
    asked = (job.read("job.json") or {})["prepare"]
    root = os.path.join(os.path.dirname(os.path.dirname(job.folder)), "environments")
    os.makedirs(root, mode=0o700, exist_ok=True)
    environment = Environment(root, asked["key"])
    try:
        environment.make(job, asked)
    except (Failed, OSError) as error:
        say("The environment can't be made: %s" % error)
        job.event("environment", state="failed", key=asked["key"])
        job.write("prepared.json", {"error": str(error)})
        return 1
    job.write("prepared.json", {"python": environment.python})
    remove_unused(root, asked.get("keep_bytes"))
    return 0


def say(line: str) -> None:
    """Into the log of the job."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Environment:
    def __init__(self, root: str, key: str) -> None:
        self.root = root
        self.key = key
        self.folder = os.path.join(root, key)
        self.python = os.path.join(self.folder, "bin", "python")
        self.facts = self.folder + ".json"

    def is_ready(self) -> bool:
        return read_json(self.facts) is not None and os.path.exists(self.python)

    def make(self, job: Job, asked: Json) -> None:
        """Build it, unless that was done; wait for whoever is doing so."""
        if self.is_ready():
            self._note_use(job)
            return
        with self.lock(fcntl.LOCK_EX, wait=False) as mine:
            if mine:
                self._build_if_absent(job, asked)
                return
        job.event("environment", state="waiting", key=self.key)
        say("Another run builds this environment; this one waits.")
        with self.lock(fcntl.LOCK_EX):
            self._build_if_absent(job, asked)

    @contextlib.contextmanager
    def lock(self, how: int, *, wait: bool = True) -> Iterator[bool]:
        """Hold its lock, alone or with others; yields whether it was to be had."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.folder + ".lock", flags, 0o600)
        try:
            try:
                fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _build_if_absent(self, job: Job, asked: Json) -> None:
        if self.is_ready():
            self._note_use(job)
            return
        job.event("environment", state="building", key=self.key)
        begun = time.monotonic()
        self.remove()
        try:
            _build(self, asked)
        except BaseException:
            self.remove()
            raise
        seconds, size = time.monotonic() - begun, size_of(self.folder)
        write_json(self.facts, {"bytes": size, "seconds": seconds, "made": time.time()})
        job.event(
            "environment", state="built", key=self.key, seconds=seconds, bytes=size
        )

    def _note_use(self, job: Job) -> None:
        with contextlib.suppress(OSError):
            os.utime(self.facts)
        size = (read_json(self.facts) or {}).get("bytes")
        job.event("environment", state="hit", key=self.key, bytes=size)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.facts)
        if os.path.lexists(self.folder):
            shutil.rmtree(self.folder)


def _build(environment: Environment, asked: Json) -> None:
    lock = environment.folder + ".txt"
    with open(lock, "w", encoding="utf-8") as file:
        file.write(asked["lock"])
    try:
        builder = _by_uv if asked.get("uv") else _by_pip
        for command in builder(environment, asked, lock):
            _run(command, asked.get("env", {}), environment.root)
    finally:
        os.unlink(lock)


def _by_uv(environment: Environment, asked: Json, lock: str) -> Iterator[List[str]]:
    uv, folder = asked["uv"], environment.folder
    yield [uv, "venv", "--no-project", "--python", asked["python"], folder]
    if asked["lock"].strip():
        install = [uv, "pip", "install", "--no-deps", "--require-hashes"]
        yield [*install, "--python", environment.python, "-r", lock]


def _by_pip(environment: Environment, asked: Json, lock: str) -> Iterator[List[str]]:
    yield [_find_python(asked["python"]), "-m", "venv", environment.folder]
    if asked["lock"].strip():
        pip = [
            environment.python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
        ]
        yield [*pip, "--no-input", "--no-deps", "--require-hashes", "-r", lock]


def _find_python(version: str) -> str:
    wanted = tuple(version.split(".")[:2])
    own = tuple(str(each) for each in sys.version_info[:2])
    found = (
        sys.executable if wanted == own else shutil.which("python" + ".".join(wanted))
    )
    if not found:
        raise Failed("There is no Python %s on this machine, and no uv." % version)
    return found


def _run(command: List[str], env: Json, root: str) -> None:
    """Run a step of the build, whose words go to the job's log; raises Failed."""
    surroundings = dict(os.environ)
    # On the disk of the environments, so that it links what it would have to copy.
    surroundings.update({"UV_CACHE_DIR": os.path.join(root, "cache"), "NO_COLOR": "1"})
    surroundings.update(env)
    say("$ " + " ".join(os.path.basename(each) for each in command[:3]))
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=surroundings,
            cwd=root,
        ) as process:
            assert process.stdout
            reason = _pass_on(process.stdout)
    except OSError as error:
        raise Failed(
            "%s can't be started: %s." % (command[0], error.strerror)
        ) from None
    if process.returncode:
        raise Failed(reason or "%s ended with %d." % (command[0], process.returncode))


def _pass_on(lines: IO[bytes]) -> str:
    """Print each line as it comes; what of them tells why it failed."""
    reason = Reason()
    for line in lines:
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        reason.hear(line.decode(errors="replace"))
    return str(reason)


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


def known(root: str) -> List[Tuple[float, str, Json]]:
    """When each finished environment was used last, its key and its facts."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(root):
            key, dot, suffix = name.rpartition(".")
            facts = read_json(os.path.join(root, name)) if suffix == "json" else None
            if dot and facts is not None:
                used = os.stat(os.path.join(root, name)).st_mtime
                found.append((used, key, facts))
    return sorted(found, key=lambda each: each[0])


def remove_unused(root: str, keep_bytes: Optional[int]) -> None:
    """Remove those that were not used for longest, until the rest is small enough."""
    if keep_bytes is None:
        return
    environments = known(root)
    total = sum(facts.get("bytes", 0) for _, _, facts in environments)
    for _, key, facts in environments[:-1]:
        if total <= keep_bytes:
            return
        environment = Environment(root, key)
        with environment.lock(fcntl.LOCK_EX, wait=False) as mine:
            if mine:
                with contextlib.suppress(OSError):
                    environment.remove()
                    total -= facts.get("bytes", 0)


def hold(job: Job) -> Optional[IO[str]]:
    """Keep the job's environment from being removed, as long as this file is open.

    None if it is not there any more: then it has to be made again.
    """
    asked = (job.read("job.json") or {})["prepare"]
    root = os.path.join(os.path.dirname(os.path.dirname(job.folder)), "environments")
    environment = Environment(root, asked["key"])
    file = open(environment.folder + ".lock", "a")
    fcntl.flock(file, fcntl.LOCK_SH)
    if environment.is_ready():
        return file
    file.close()
    return None
