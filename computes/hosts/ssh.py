"""A machine that is reached over SSH."""

import base64
import json
import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import paramiko

from computes.hosts.answers import (
    environments_in,
    facts_in,
    gpus_in,
    living_in,
    place_in,
    state_in,
)
from computes.hosts.base import (
    IdleEnvironment,
    LivingJob,
    Place,
    Ran,
    Source,
    StreamClosed,
)
from computes.hosts.bootstrap import become_runner, command
from computes.hosts.bridging import join
from computes.hosts.questions import Questions
from computes.hosts.sending import Sender
from computes.hosts.ssh_connection import SshAccount, SshConnection

_READ_SIZE = 1024 * 1024
# A host that takes in nothing for so long, as when its disk hangs, is given up.
_SEND_SECONDS = 60.0
_CLEAN = 1800.0
# Longer than a command may take, for the way there and back.
_MARGIN = 15.0
# Contents of files are kept on a host for a month after they were needed last.
_KEEP_FOR = 30 * 86400.0


class SshHost:
    """Job folders below `root` in an account of another machine.

    All that a process of the portal does there goes over one connection: a session for
    questions, and one for the stream where it follows.
    """

    def __init__(
        self, account: SshAccount, *, key: str, root: str, python: str = "python3"
    ) -> None:
        self.key = key
        self._account = account
        self._root = root
        self._command = command(python)
        self._connection = SshConnection(account)
        self._asking: Questions | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def stage(self, job: str, spec: dict[str, Any], source: Source) -> Collection[str]:
        return self._questions().stage(job, spec, source)

    def give_secrets(self, job: str, secrets: Mapping[str, Any]) -> None:
        body = json.dumps(secrets).encode()
        self._questions().ask("secrets", job=job, body=[body], size=len(body))

    def start(self, job: str) -> dict[str, Any]:
        handle: dict[str, Any] = self._questions().ask("start", job=job)
        return handle

    def state(self, job: str) -> dict[str, Any]:
        return state_in(self._questions().ask("state", job=job), str(self._account))

    def cancel(self, job: str, *, grace_seconds: float, reason: str) -> None:
        self._questions().ask(
            "cancel", job=job, grace_seconds=grace_seconds, reason=reason
        )

    def prevent(self, job: str, *, word: str, reason: str) -> None:
        self._questions().ask("prevent", job=job, word=word, reason=reason)

    def lay_out(self, name: str, source: Source) -> str:
        return self._questions().lay_out(name, source)

    def living(self) -> list[LivingJob]:
        return living_in(self._questions().ask("living"), str(self._account))

    def end_living(self, job: str, *, grace_seconds: float, reason: str) -> None:
        self._questions().ask(
            "end_living", job=job, grace_seconds=grace_seconds, reason=reason
        )

    def environments(self) -> list[IdleEnvironment]:
        found = self._questions().ask("environments")
        return environments_in(found, str(self._account))

    def remove_environment(self, key: str) -> None:
        self._questions().ask("remove_environment", key=key, seconds=_CLEAN)

    def write_log(self, job: str, data: bytes) -> None:
        self._questions().ask("log", job=job, body=[data], size=len(data))

    def write_event(self, job: str, event: str, **facts: Any) -> None:
        self._questions().ask("event", job=job, event=event, facts=facts)

    def place(self, job: str) -> Place:
        return place_in(self._questions().ask("place", job=job), str(self._account))

    def run(
        self, command: Sequence[str], *, stdin: bytes = b"", seconds: float = 60.0
    ) -> Ran:
        ran: dict[str, Any] = self._questions().ask(
            "run",
            command=list(command),
            body=[stdin],
            size=len(stdin),
            limit=seconds,
            seconds=seconds + _MARGIN,
        )
        out, err = (base64.b64decode(ran[name]) for name in ("out", "err"))
        return Ran(code=ran["code"], out=out, err=err)

    def connect(self, path: str) -> socket.socket:
        # The connection over SSH may have to be replaced, after a fork too.
        self._questions()
        return join(self._run("bridge"), path, str(self._account))

    def clean(self, job: str) -> None:
        self._questions().ask("clean", job=job, seconds=_CLEAN)

    def facts(self) -> dict[str, Any]:
        return facts_in(self._questions().ask("facts"), str(self._account))

    def gpus(self) -> dict[str, Any]:
        return gpus_in(self._questions().ask("gpus"), str(self._account))

    def sweep(self) -> None:
        self._questions().ask("sweep", age=_KEEP_FOR, seconds=_CLEAN)

    def follow(self) -> "SshStream":
        return SshStream(self._run("follow"))

    def close(self) -> None:
        with self._lock:
            self._asking = None
            self._connection.close()

    def _questions(self) -> Questions:
        with self._lock:
            if self._process != os.getpid():
                # A connection does not survive a fork: both sides would use it.
                self._process = os.getpid()
                self._connection, self._asking = SshConnection(self._account), None
            if self._asking is None or not self._asking.is_open():
                self._asking = Questions(self._run("serve"), str(self._account))
            return self._asking

    def _run(self, verb: str) -> "SshChannel":
        channel = SshChannel(self._connection.execute(self._command))
        try:
            become_runner(channel, verb=verb, root=self._root, name=str(self._account))
        except BaseException:
            channel.close()
            raise
        return channel


class SshChannel:
    """The standard streams of a process there. It ends when it reads no more."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._channel.settimeout(_SEND_SECONDS)
        self._unread = b""

    def send(self, data: bytes) -> None:
        with _broken_told():
            self._channel.sendall(data)

    def receive(self, most: int, *, timeout: float) -> bytes:
        if self._unread:
            data, self._unread = self._unread[:most], self._unread[most:]
            return data
        with _broken_told():
            self._channel.settimeout(timeout)
            try:
                return self._channel.recv(most)
            finally:
                self._channel.settimeout(_SEND_SECONDS)

    def unread(self, data: bytes) -> None:
        self._unread = data + self._unread

    def complaints(self) -> bytes:
        found = b""
        while self._channel.recv_stderr_ready():
            found += self._channel.recv_stderr(_READ_SIZE)
        return found

    def is_open(self) -> bool:
        return not self._channel.closed

    def close(self) -> None:
        # The host is told so, which a connection that broke can't do.
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()


@contextmanager
def _broken_told() -> Iterator[None]:
    """Paramiko says in many ways that a connection is broken."""
    try:
        yield
    except (EOFError, paramiko.SSHException) as error:
        raise ConnectionError(str(error) or "the connection broke") from error


class SshStream:
    """A `runner follow` on the host."""

    def __init__(self, channel: SshChannel) -> None:
        self._channel = channel
        self._sender = Sender(channel.send, channel.close)

    def read(self, timeout: float) -> bytes:
        # Unread, they would fill the window that all streams of the session share.
        self._channel.complaints()
        try:
            data = self._channel.receive(_READ_SIZE, timeout=timeout)
        except TimeoutError:
            return b""
        except OSError as error:
            raise StreamClosed from error
        if not data:
            raise StreamClosed
        return data

    def write(self, data: bytes) -> None:
        self._sender.write(data)

    def close(self) -> None:
        self._sender.close()
        self._channel.close()
