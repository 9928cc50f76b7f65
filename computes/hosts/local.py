"""The machine that the portal runs on."""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from aml_portal.errors import FULL_DISK, TargetError
from computes.hosts.answers import environments_in, facts_in, gpus_in
from computes.hosts.base import (
    DamagedSourceError,
    IdleEnvironment,
    LivingJob,
    Place,
    Ran,
    Source,
    StreamClosed,
)
from computes.hosts.bridging import open_socket
from computes.hosts.sending import Sender
from computes.runner import RUNNER, commands, facts, gpus, runner, staging

# A runner verb takes milliseconds; cleaning a large folder takes its time.
_VERB_TIMEOUT = 60
_CLEAN_TIMEOUT = 1800
_READ_SIZE = 1024 * 1024
# The portal's own settings are none of a script's business, its secrets least.
_PRIVATE_PREFIXES = ("AML_PORTAL_", "DJANGO_", "RQ_")
_PRIVATE_NAMES = {"REDIS_URL", "REDIS_URL_FILE", "SSH_AUTH_SOCK", "SSH_AGENT_PID"}


class LocalHost:
    """Job folders under one folder of this machine."""

    key = "local"

    def __init__(self, jobs: Path) -> None:
        self._jobs = jobs

    def stage(self, job: str, spec: dict[str, Any], source: Source) -> Collection[str]:
        # The portal's store is at hand: nothing has to travel.
        objects = staging.Objects(str(source.objects))
        try:
            staging.stage(str(self._jobs / job), spec, source.entries, objects)
        except staging.Lacking as error:
            raise DamagedSourceError from error
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            raise TargetError(
                "The disk of the portal is full.",
                "Ask an administrator to free some space, then try again.",
            ) from error
        return ()

    def give_secrets(self, job: str, secrets: Mapping[str, Any]) -> None:
        folder = runner.Job(str(self._jobs / job))
        try:
            runner.give_secrets(folder, dict(secrets))
        except OSError as error:
            words = error.strerror
            raise TargetError(
                f"The job folder can't be written to: {words}."
            ) from error

    def start(self, job: str) -> dict[str, Any]:
        return self._ask("start", job)

    def state(self, job: str) -> dict[str, Any]:
        return self._ask("state", job)

    def cancel(self, job: str, *, grace_seconds: float, reason: str) -> None:
        self._ask("cancel", job, "--grace", str(grace_seconds), "--reason", reason)

    def prevent(self, job: str, *, word: str, reason: str) -> None:
        self._ask("prevent", job, f"--word={word}", f"--reason={reason}")

    def lay_out(self, name: str, source: Source) -> str:
        folder = self._jobs.parent / "tools" / name
        try:
            staging.Objects(str(source.objects)).lay_out(source.entries, str(folder))
        except staging.Lacking as error:
            raise DamagedSourceError from error
        except OSError as error:
            raise TargetError(f"{folder} can't be made: {error.strerror}.") from error
        return str(folder)

    def living(self) -> list[LivingJob]:
        return LivingJob.read_all(self._ask("living", ""))

    def end_living(self, job: str, *, grace_seconds: float, reason: str) -> None:
        self._ask("end_living", job, "--grace", str(grace_seconds), "--reason", reason)

    def environments(self) -> list[IdleEnvironment]:
        return environments_in(self._ask("environments", ""), "This machine")

    def remove_environment(self, key: str) -> None:
        self._ask("remove_environment", "", key, timeout=_CLEAN_TIMEOUT)

    def write_log(self, job: str, data: bytes) -> None:
        try:
            commands.write_log(str(self._jobs / job), data)
        except OSError as error:
            raise TargetError(f"The log can't be written: {error}.") from error

    def write_event(self, job: str, event: str, **facts: Any) -> None:
        try:
            commands.write_event(str(self._jobs / job), event, facts)
        except OSError as error:
            raise TargetError(f"An event can't be written: {error}.") from error

    def place(self, job: str) -> Place:
        return Place(
            folder=str(self._jobs / job),
            runner=str(RUNNER.parent),
            python=sys.executable,
            user=os.getuid(),
            group=os.getgid(),
        )

    def run(
        self, command: Sequence[str], *, stdin: bytes = b"", seconds: float = 60.0
    ) -> Ran:
        try:
            code, out, err = commands.run(
                command, stdin, seconds=seconds, environment=_environment()
            )
        except commands.Failed as error:
            raise TargetError(f"This machine says: {error}") from error
        return Ran(code=code, out=out, err=err)

    def connect(self, path: str) -> socket.socket:
        return open_socket(path)

    def clean(self, job: str) -> None:
        self._ask("clean", job, timeout=_CLEAN_TIMEOUT)

    def facts(self) -> dict[str, Any]:
        return facts_in(facts.facts(str(self._jobs), gpus.look()), "This machine")

    def gpus(self) -> dict[str, Any]:
        return gpus_in(gpus.look(), "This machine")

    def sweep(self) -> None:
        """Nothing: the contents are those of the portal's store, which has its own."""

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
        self._sender = Sender(self._send, self._in.close)

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
        self._sender.write(data)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._sender.close()
        self._out.close()

    def _send(self, data: bytes) -> None:
        while data:
            data = data[self._in.write(data) or 0 :]


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
