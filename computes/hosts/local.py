"""The machine that the portal runs on."""

import json
import os
import queue
import secrets
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from aml_portal.errors import TargetError
from computes.hosts.base import StreamClosed
from computes.runner import RUNNER

# A runner verb takes milliseconds; cleaning a large folder takes its time.
_VERB_TIMEOUT = 60
_CLEAN_TIMEOUT = 1800
_READ_SIZE = 1024 * 1024
# The portal's own settings are none of a script's business, its secrets least.
_PRIVATE_PREFIXES = ("AML_PORTAL_", "DJANGO_", "RQ_")
_PRIVATE_NAMES = {"REDIS_URL", "REDIS_URL_FILE"}


class LocalHost:
    """Job folders under one folder of this machine."""

    key = "local"

    def __init__(self, jobs: Path) -> None:
        self._jobs = jobs

    def stage(
        self, job: str, spec: dict[str, Any], lay_out: Callable[[Path], None]
    ) -> None:
        folder = self._jobs / job
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_other_boots(folder)
        if (folder / "job.json").exists():
            return
        lay_out(folder / "work")
        _write_private(folder / "job.json", json.dumps(spec))

    def start(self, job: str) -> dict[str, Any]:
        return self._ask("start", job)

    def state(self, job: str) -> dict[str, Any]:
        return self._ask("state", job)

    def cancel(self, job: str, *, grace_seconds: float, reason: str) -> None:
        self._ask("cancel", job, "--grace", str(grace_seconds), "--reason", reason)

    def clean(self, job: str) -> None:
        self._ask("clean", job, timeout=_CLEAN_TIMEOUT)

    def follow(self) -> "PipeStream":
        self._jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return PipeStream([*_runner_command("follow"), str(self._jobs)])

    def _ask(
        self, verb: str, job: str, *options: str, timeout: float = _VERB_TIMEOUT
    ) -> dict[str, Any]:
        command = [*_runner_command(verb), str(self._jobs / job), *options]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                env=_environment(),
                cwd="/",
                check=True,
            )
        except subprocess.TimeoutExpired as error:
            raise TargetError(
                f"This machine did not finish “{verb}” within {timeout:.0f} seconds."
            ) from error
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode(errors="replace").strip() or "no message"
            raise TargetError(
                f"The runner could not {verb} the job: {words}"
            ) from error
        except OSError as error:
            raise TargetError(f"The runner can't be started: {error}") from error
        answer: dict[str, Any] = json.loads(done.stdout or b"{}")
        return answer


class PipeStream:
    """A `runner follow` in a process of its own, over its standard streams."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        self._in = _pipe(self._process.stdin)
        self._out = _pipe(self._process.stdout)
        # poll, since select knows no file descriptor above 1,023.
        self._arrivals = select.poll()
        self._arrivals.register(self._out, select.POLLIN | select.POLLHUP)
        # Written by a thread: while the runner waits for its output to be read, it
        # reads no commands, and who writes them must not wait for that.
        self._commands: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._write_commands, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def read(self, timeout: float) -> bytes:
        if not self._arrivals.poll(timeout * 1000):
            return b""
        data = os.read(self._out.fileno(), _READ_SIZE)
        if not data:
            raise StreamClosed
        return data

    def write(self, data: bytes) -> None:
        self._commands.put(data)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._commands.put(None)
        self._out.close()

    def _write_commands(self) -> None:
        with self._in:
            while data := self._commands.get():
                try:
                    while data:
                        data = data[self._in.write(data) or 0 :]
                except OSError:
                    # The runner has gone; the reading side finds out as well.
                    return


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # Popen was asked for a pipe
    return end


def _runner_command(verb: str) -> list[str]:
    # -I -S: nothing of the portal's environment or site-packages, and a quick start.
    return [sys.executable, "-I", "-S", str(RUNNER.parent), verb]


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _PRIVATE_NAMES and not name.startswith(_PRIVATE_PREFIXES)
    }


def _forget_other_boots(folder: Path) -> None:
    """Remove what was laid out before the machine was last started.

    Files are not forced to the disk while they are laid out, which would hold up every
    run for what others write; so a power cut may have left them empty.
    """
    note = folder / "boot_id"
    boot = _boot_id()
    if (folder / "runner.json").exists() or _read(note) == boot:
        return
    (folder / "job.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "work", ignore_errors=True)
    _write_private(note, boot)


def _boot_id() -> str:
    return _read(Path("/proc/sys/kernel/random/boot_id")) or ""


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
