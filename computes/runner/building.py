"""Makes the environment that a job needs, unless it is there; a process for each job.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
What is built is told in a job's `prepare`: `key`, the `lock` (a requirements file with
every version and hash), the `python` that it is for, `uv` (the program's path; pip does
it where there is none), and `keep_bytes`, beyond which those that were not used for
longest are removed. With `conda` its packages come first, Python among them: the
`records` that conda.py is given, and the `installer`: `key`, `lock` and `python` of one
more environment, whose Python runs conda.py.

Where packages come from may have passwords, so it is on the standard input alone: `env`
for the installers, `auth` for conda.py, and `hidden`, what no word may tell.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import IO, Any, Callable, Dict, Iterator, List, Optional

# The folder that Python was given is the first in its path.
import package_cache  # type: ignore[import-not-found]
import pins  # type: ignore[import-not-found]
from environment import (  # type: ignore[import-not-found]
    Environment,
    Tell,
    remove_unused,
)
from masking import cover  # type: ignore[import-not-found]
from reasons import Reason  # type: ignore[import-not-found]
from runner import Job, write_json  # type: ignore[import-not-found]

Json = Dict[str, Any]
# Runs a step of a build: _run with the settings of all steps.
Run = Callable[..., None]

# In bytes; what is longer comes in pieces.
_LONGEST_LINE = 1 << 16
# What a file system says that has no locks, such as NFS without its lock service.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class Failed(Exception):
    """The environment can't be made; the message is for a person."""


def main(folder: str) -> int:
    """Make the environment of the job in `folder`; why not, is in prepared.json."""
    # Whoever cancels the job gets what was built so far removed, not only the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    job = Job(folder)
    given = json.loads(sys.stdin.buffer.read() or b"{}")
    asked = dict((job.read("job.json") or {})["prepare"], **given)
    environment = Environment.of(job)
    os.makedirs(environment.root, mode=0o700, exist_ok=True)
    tell = partial(job.event, "environment")
    try:
        is_new = _make(environment, tell, asked)
    except (Failed, OSError) as error:
        why = cover(_in_words(error, environment.root), asked.get("hidden", ()))
        say("The environment can't be made: %s" % why)
        tell(state="failed", key=environment.key)
        job.write("prepared.json", {"error": why})
        return 1
    if is_new and asked.get("keep_bytes") is not None:
        _make_room(environment, tell, asked["keep_bytes"])
    return 0


def say(line: str) -> None:
    """Into the log of the job."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _in_words(error: Exception, root: str) -> str:
    if isinstance(error, OSError) and error.errno in _NO_LOCKS:
        return (
            "The file system of %s can't lock files, so that two builds could"
            " disturb one another: have it mounted with locks, or give the machine"
            " another working folder." % root
        )
    return str(error)


def _make(environment: Environment, tell: Tell, asked: Json) -> bool:
    """Build it, unless that was done; wait for whoever is doing so; True if built."""
    has_waited = False
    while not environment.is_ready():
        # Who waited for nothing, as what is there was spoilt while it is used, or its
        # build has failed, now waits for its turn.
        with environment.lock(fcntl.LOCK_EX, wait=has_waited) as mine:
            if mine and not environment.is_ready():
                _build(environment, tell, asked)
                return True
        if not mine:
            has_waited = True
            tell(state="waiting", key=environment.key)
            say("Another run builds this environment; this one waits.")
            # Shared, so that all who wait go on at once.
            with environment.lock(fcntl.LOCK_SH):
                pass
    # Where it can't be held, that is told now: the supervisor would try for ever.
    with environment.lock(fcntl.LOCK_SH):
        environment.note_use(tell)
    return False


def _build(environment: Environment, tell: Tell, asked: Json) -> None:
    tell(state="building", key=environment.key)
    begun = time.monotonic()
    environment.remove()
    try:
        with package_cache.used(environment.root):
            _install(environment, asked)
        seconds = time.monotonic() - begun
        size = package_cache.size_of(environment.folder)
        facts = {"bytes": size, "seconds": seconds, "made": time.time()}
        write_json(environment.facts, facts)
    except BaseException:
        environment.remove()
        raise
    tell(state="built", key=environment.key, seconds=seconds, bytes=size)


def _make_room(environment: Environment, tell: Tell, keep_bytes: int) -> None:
    """Remove what was not used for longest, and the packages that this leaves over."""
    with contextlib.suppress(OSError):
        root = environment.root
        kept = remove_unused(root, keep_bytes, tell, but=environment.key)
        package_cache.trim(root, max(keep_bytes - kept, 0))


@contextlib.contextmanager
def _kept(environment: Environment, asked: Json) -> Iterator[None]:
    """Make one more environment, and have nobody remove it meanwhile."""
    held: Optional[int] = None
    while held is None:
        _make(environment, lambda **_: None, asked)
        held = environment.hold()
    try:
        yield
    finally:
        os.close(held)


def _install(environment: Environment, asked: Json) -> None:
    run = partial(_run, env=asked.get("env", {}), root=environment.root)
    if asked.get("conda"):
        _install_conda(environment, asked, run)
    elif asked.get("uv"):
        venv = [asked["uv"], "venv", "--no-project", "--python", asked["python"]]
        run([*venv, environment.folder])
    else:
        python = _find_python(asked["python"])
        _check_pip(python)
        run([python, "-m", "venv", environment.folder])
    if asked["lock"].strip():
        _install_wheels(environment, asked, run)


def _install_conda(environment: Environment, asked: Json, run: Run) -> None:
    conda = asked["conda"]
    installer = Environment(environment.root, conda["installer"]["key"])
    given = {
        "records": conda["records"],
        "auth": asked.get("auth"),
        "folder": environment.folder,
        "cache": os.path.join(environment.root, package_cache.CONDA),
    }
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conda.py")
    with _kept(installer, dict(asked, conda=None, **conda["installer"])):
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
    for options, part in pins.steps(asked["lock"]):
        lock = os.path.join(environment.folder, "requirements.txt")
        with open(lock, "w", encoding="utf-8") as file:
            file.write(part)
        run([*pip, *options, lock])


def _find_python(version: str) -> str:
    """A version such as "3.11", or the oldest that will do, such as ">=3.10"."""
    wanted = tuple(int(part) for part in version.lstrip(">=").split(".")[:2])
    own = sys.version_info[:2]
    if own == wanted or (version.startswith(">=") and own > wanted):
        return sys.executable
    found = shutil.which("python%d.%d" % wanted)
    if not found:
        raise Failed(
            "There is no Python %s on this machine, and no uv for it to fetch one"
            " with: install Python %s there." % (version, version.lstrip(">="))
        )
    return found


def _check_pip(python: str) -> None:
    """Raise Failed if it can't make environments that have pip."""
    command = [python, "-I", "-c", "import ensurepip, venv"]
    with contextlib.suppress(OSError):
        if subprocess.call(command, stderr=subprocess.DEVNULL) == 0:
            return
    raise Failed(
        "There is neither uv for this machine, nor venv and pip for %s: install"
        " these, on Debian and Ubuntu as python3-venv." % python
    )


def _run(
    command: List[str], *, env: Json, root: str, given: Optional[Json] = None
) -> None:
    """Run a step of the build, whose words go to the job's log; raises Failed."""
    surroundings = dict(os.environ, NO_COLOR="1")
    # On the disk of the environments, so that it links what it would have to copy.
    surroundings["UV_CACHE_DIR"] = os.path.join(root, package_cache.UV)
    surroundings.update(env)
    say("$ " + " ".join(os.path.basename(each) for each in command[:3]))
    with tempfile.TemporaryFile(dir=root) as words:
        words.write(json.dumps(given).encode() if given else b"")
        words.seek(0)
        # Where nobody's uv.toml is found.
        with _started(command, stdin=words, env=surroundings, cwd="/") as process:
            assert process.stdout
            reason = _pass_on(process.stdout)
    if process.returncode:
        raise Failed(reason or "%s ended with %d." % (command[0], process.returncode))


def _started(command: List[str], **how: Any) -> "subprocess.Popen[bytes]":
    """A program whose words can be read; raises Failed."""
    try:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how
        )
    except OSError as error:
        why = "%s can't be started: %s." % (command[0], error.strerror)
        raise Failed(why) from None


def _pass_on(lines: IO[bytes]) -> str:
    """Print each line as it comes; what of them tells why it failed."""
    reason = Reason()
    for line in iter(lambda: lines.readline(_LONGEST_LINE), b""):
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        reason.hear(line.decode(errors="replace"))
    return str(reason)
