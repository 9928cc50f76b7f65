"""Makes the environment that a job needs, once for all jobs that need the same.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
Beside the folder of the jobs there is one of environments:

    KEY/          a virtual environment
    KEY.json      what it is and what it took; written last, so that what died half way
                  never looks finished
    KEY.lock      held alone by who builds or removes it, shared by all who use it

What is built here is told in a job's `prepare`: `key`, the `lock` (a requirements file
with every version and hash), the `python` that it is for, `uv` (the program's path; pip
does it where there is none), and `keep_bytes`, beyond which those that were not used
for longest are removed. With `conda` its packages come first, Python among them: the
`records` that conda.py is given, and the `installer`: `key`, `lock` and `python` of one
more environment, whose Python runs conda.py.

Where packages come from may have passwords, so it is on the standard input alone: `env`
for the installers, `auth` for conda.py, and `hidden`, what no word may tell.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import IO, Any, Callable, Dict, Iterator, List, Optional, Tuple

# The folder that Python was given is the first in its path.
from masking import cover  # type: ignore[import-not-found]
from reasons import Reason  # type: ignore[import-not-found]
from runner import Job, read_json, write_json  # type: ignore[import-not-found]

Json = Dict[str, Any]
# Told what becomes of an environment, as fields of an event.
Tell = Callable[..., None]
# Runs a step of a build: _run with the settings of all steps.
Run = Callable[..., None]


class Failed(Exception):
    """The environment can't be made; the message is for a person."""


def main(folder: str) -> int:
    """Make the environment of the job in `folder`; prepared.json says where it is."""
    job = Job(folder)
    given = json.loads(sys.stdin.buffer.read() or b"{}")
    asked = dict((job.read("job.json") or {})["prepare"], **given)
    root = os.path.join(os.path.dirname(os.path.dirname(job.folder)), "environments")
    os.makedirs(root, mode=0o700, exist_ok=True)
    environment = Environment(root, asked["key"])
    try:
        environment.make(partial(job.event, "environment"), asked)
    except (Failed, OSError) as error:
        say("The environment can't be made: %s" % error)
        job.event("environment", state="failed", key=asked["key"])
        words = cover(str(error), asked.get("hidden", []))
        job.write("prepared.json", {"error": words})
        return 1
    # What programs of conda find their files by.
    env = {"CONDA_PREFIX": environment.folder} if asked.get("conda") else {}
    job.write("prepared.json", {"python": environment.python, "env": env})
    remove_unused(root, asked.get("keep_bytes"), partial(job.event, "environment"))
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

    def make(self, tell: Tell, asked: Json) -> None:
        """Build it, unless that was done; wait for whoever is doing so."""
        if self.is_ready():
            self._note_use(tell)
            return
        with self.lock(fcntl.LOCK_EX, wait=False) as mine:
            if mine:
                self._build_if_absent(tell, asked)
                return
        tell(state="waiting", key=self.key)
        say("Another run builds this environment; this one waits.")
        with self.lock(fcntl.LOCK_EX):
            self._build_if_absent(tell, asked)

    @contextlib.contextmanager
    def kept(self, asked: Json) -> Iterator[None]:
        """Make it, and have nobody remove it meanwhile."""
        while True:
            self.make(lambda **_: None, asked)
            with self.lock(fcntl.LOCK_SH):
                if self.is_ready():
                    yield
                    return

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

    def _build_if_absent(self, tell: Tell, asked: Json) -> None:
        if self.is_ready():
            self._note_use(tell)
            return
        tell(state="building", key=self.key)
        begun = time.monotonic()
        self.remove()
        try:
            _build(self, asked)
            seconds, size = time.monotonic() - begun, size_of(self.folder)
            facts = {"bytes": size, "seconds": seconds, "made": time.time()}
            write_json(self.facts, facts)
        except BaseException:
            self.remove()
            raise
        tell(state="built", key=self.key, seconds=seconds, bytes=size)

    def _note_use(self, tell: Tell) -> None:
        with contextlib.suppress(OSError):
            os.utime(self.facts)
        size = (read_json(self.facts) or {}).get("bytes")
        tell(state="hit", key=self.key, bytes=size)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.facts)
        if os.path.lexists(self.folder):
            shutil.rmtree(self.folder)


def _build(environment: Environment, asked: Json) -> None:
    run = partial(_run, env=asked.get("env", {}), root=environment.root)
    if asked.get("conda"):
        _install_conda(environment, asked, run)
    elif asked.get("uv"):
        venv = [asked["uv"], "venv", "--no-project", "--python", asked["python"]]
        run([*venv, environment.folder])
    else:
        run([_find_python(asked["python"]), "-m", "venv", environment.folder])
    if asked["lock"].strip():
        _install_wheels(environment, asked, run)


def _install_conda(environment: Environment, asked: Json, run: Run) -> None:
    conda = asked["conda"]
    installer = Environment(environment.root, conda["installer"]["key"])
    given = {
        "records": conda["records"],
        "auth": asked.get("auth"),
        "folder": environment.folder,
        "cache": os.path.join(environment.root, "cache", "conda"),
    }
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conda.py")
    with installer.kept(dict(asked, conda=None, **conda["installer"])):
        run([installer.python, "-I", program], given=given)
    if not os.path.exists(environment.python):
        raise Failed("Python is not among the packages of conda.")


def _install_wheels(environment: Environment, asked: Json, run: Run) -> None:
    if asked.get("uv"):
        # A Python of conda may say that it is managed by others.
        pip = [asked["uv"], "pip", "install", "--break-system-packages"]
        pip += ["--python", environment.python]
    else:
        pip = [environment.python, "-m", "pip", "install", "--no-input"]
        pip += ["--disable-pip-version-check"]
    lock = environment.folder + ".txt"
    with open(lock, "w", encoding="utf-8") as file:
        file.write(asked["lock"])
    try:
        run([*pip, "--no-deps", "--require-hashes", "-r", lock])
    finally:
        os.unlink(lock)


def _find_python(version: str) -> str:
    """A version such as "3.11", or the oldest that will do, such as ">=3.10"."""
    wanted = tuple(int(part) for part in version.lstrip(">=").split(".")[:2])
    own = sys.version_info[:2]
    if own == wanted or (version.startswith(">=") and own > wanted):
        return sys.executable
    found = shutil.which("python%d.%d" % wanted)
    if not found:
        raise Failed("There is no Python %s on this machine, and no uv." % version)
    return found


def _run(
    command: List[str], *, env: Json, root: str, given: Optional[Json] = None
) -> None:
    """Run a step of the build, whose words go to the job's log; raises Failed."""
    surroundings = dict(os.environ)
    # On the disk of the environments, so that it links what it would have to copy.
    surroundings.update({"UV_CACHE_DIR": os.path.join(root, "cache"), "NO_COLOR": "1"})
    surroundings.update(env)
    say("$ " + " ".join(os.path.basename(each) for each in command[:3]))
    with tempfile.TemporaryFile(dir=root) as words:
        words.write(json.dumps(given).encode() if given else b"")
        words.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=words,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=surroundings,
                cwd=root,
            )
        except OSError as error:
            why = "%s can't be started: %s." % (command[0], error.strerror)
            raise Failed(why) from None
        with process:
            assert process.stdout
            reason = _pass_on(process.stdout)
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


def remove_unused(root: str, keep_bytes: Optional[int], tell: Tell) -> None:
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
                    tell(state="removed", key=key)


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
