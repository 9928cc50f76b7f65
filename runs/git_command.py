"""Runs git, through GitPython, so that no folder and no server can do harm with it.

No hook, no filter, no helper and no configuration but that given here takes part.
"""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from git import Git, GitCommandNotFound

from aml_portal.errors import PortalError, UserError

_CONFIGURATION = {
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.untrackedCache": "false",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "safe.directory": "*",
    "submodule.recurse": "false",
}
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ASKPASS": "",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS": "",
}
_MOST_OUTPUT = 32 * 1024 * 1024
_MOST_ERRORS = 64 * 1024
# What is sent may be packed into a thousandth of what it is in memory.
_MOST_MEMORY = 2 * 1024**3
_BLOCK = 64 * 1024
# Seconds between two looks at a git that is at work.
_BEAT = 0.1


class GitError(PortalError):
    """git did not do what it was asked to; `output` is what it said, in English."""

    def __init__(self, output: str) -> None:
        super().__init__("git could not read the repository.")
        self.output = output


class TooSlowError(GitError):
    """It took longer than it may."""


class TooMuchError(GitError):
    """It printed more than it may."""


def run_git(
    *words: str,
    folder: Path,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    configuration: Mapping[str, str] | None = None,
    most: int = _MOST_OUTPUT,
    trouble: Callable[[], UserError | None] = lambda: None,
    fine: Collection[int] = (0,),
) -> bytes:
    """What `git words…` prints in `folder`. Raises GitError for an exit code that is
    not `fine`.

    While it is at work, `trouble` is asked again and again; what it answers ends git,
    and is raised. Secrets in `configuration` are seen by no other account.
    """
    given = {**_ENVIRONMENT, **_spelled(configuration or {}), **(environment or {})}
    try:
        # A session of its own, to be ended with all that it starts.
        running = Git(folder).execute(
            ["git", *words], as_process=True, env=given, start_new_session=True
        )
    except GitCommandNotFound as error:
        raise PortalError(
            "The portal's machine has no git.", "Ask an administrator to install it."
        ) from error
    # As long as `running` is there, nothing else ends it.
    process = running.proc
    assert process is not None
    assert process.stdout is not None
    assert process.stderr is not None
    _limit_memory(process.pid)
    guard = _Guard(process.pid, seconds, trouble)
    errors = _Errors(process.stderr)
    try:
        output = _read(process.stdout, most)
        if len(output) > most:
            guard.end(TooMuchError("It printed too much."))
        errors.join()
    except BaseException:
        guard.end(GitError("Interrupted."))
        raise
    finally:
        code = process.wait()
        guard.done.set()
        guard.join()
    if guard.reason:
        raise guard.reason
    if code not in fine:
        raise GitError(errors.text)
    return output


def _limit_memory(pid: int) -> None:
    """That of each process of git by itself; files that it maps do not count."""
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))


class _Guard(threading.Thread):
    """Ends a group of processes when its time is over or there is trouble."""

    def __init__(
        self, group: int, seconds: float, trouble: Callable[[], UserError | None]
    ) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.reason: PortalError | None = None
        self._group = group
        self._deadline = time.monotonic() + seconds
        self._trouble = trouble
        self.start()

    def run(self) -> None:
        while not self.done.wait(_BEAT):
            if time.monotonic() > self._deadline:
                self.end(TooSlowError("It took too long."))
            elif trouble := self._trouble():
                self.end(trouble)

    def end(self, reason: PortalError) -> None:
        self.reason = self.reason or reason
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)


class _Errors(threading.Thread):
    """Reads all that a process complains about, and keeps the end of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self._stream = stream
        self.start()

    def run(self) -> None:
        kept = b""
        with self._stream:
            while block := self._stream.read(_BLOCK):
                kept = (kept + block)[-_MOST_ERRORS:]
        self.text = kept.decode(errors="replace")


def _read(stream: IO[bytes], most: int) -> bytes:
    """All of the stream, or a little more than `most`."""
    output = bytearray()
    with stream:
        while len(output) <= most and (block := stream.read(_BLOCK)):
            output += block
    return bytes(output)


def _spelled(more: Mapping[str, str]) -> dict[str, str]:
    """The configuration as git reads it from its environment: not from the command
    line, which everybody on the machine can see.
    """
    pairs = list({**_CONFIGURATION, **more}.items())
    spelled = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (name, value) in enumerate(pairs):
        spelled[f"GIT_CONFIG_KEY_{number}"] = name
        spelled[f"GIT_CONFIG_VALUE_{number}"] = value
    return spelled
