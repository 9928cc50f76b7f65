"""What a host answers, whichever way it is reached."""

import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aml_portal.errors import TargetError, UserError
from computes.hosts.plain import plain


class StreamClosed(Exception):
    """The far end of a stream has gone; nothing is known about its jobs."""


class TargetAwayError(TargetError):
    """The host can't be reached now; what was asked for may have been done."""


class DamagedSourceError(UserError):
    def __init__(self) -> None:
        super().__init__(
            "A file of this snapshot is missing in the portal's store, or it is"
            " damaged.",
            "Submit the run again from the source.",
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """The files of a working folder: the entries of its manifest, and the portal's
    store, which has the content of each under its SHA-256.
    """

    entries: list[dict[str, Any]]
    objects: Path

    def contents(self) -> dict[str, int]:
        """SHA-256 → size of each content, once however many files have it."""
        return {
            entry["sha256"]: entry.get("size", 0)
            for entry in self.entries
            if entry.get("kind", "file") == "file"
        }


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of a command on a host."""

    code: int
    out: bytes
    err: bytes

    @property
    def complaint(self) -> str:
        """What it said of its failure, in a line."""
        words = (self.err or self.out).decode(errors="replace").split()
        return plain(" ".join(words)) or f"it ended with exit code {self.code}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where things are on a host: absolute paths, of which the folder may not be yet.

    `python` runs the runner, `runner` is its folder, `folder` that of the job. `user`
    and `group` are the numbers of the account that owns it.
    """

    folder: str
    runner: str
    python: str
    user: int
    group: int


@dataclass(frozen=True, kw_only=True)
class LivingProcess:
    """`name` is without arguments, `since` in seconds since 1970."""

    pid: int
    name: str
    since: float
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class LivingJob:
    """Processes of a job; `portal` is that which started it, as it calls itself."""

    job: str
    portal: str
    processes: list[LivingProcess]

    @classmethod
    def read_all(cls, found: Mapping[str, Any]) -> "list[LivingJob]":
        """From what the runner says."""
        return [
            cls(
                job=job,
                portal=said["portal"],
                processes=[LivingProcess(**each) for each in said["processes"]],
            )
            for job, said in found.items()
        ]


@dataclass(frozen=True, kw_only=True)
class IdleEnvironment:
    """An environment that no job uses at the moment.

    `used` is when one did last, in seconds since 1970. `bytes` is None of one whose
    build died.
    """

    key: str
    bytes: int | None
    used: float


class Stream(Protocol):
    """Both ends of a `runner follow`."""

    def read(self, timeout: float) -> bytes:
        """What has arrived, after at most `timeout` seconds; b"" if nothing has.

        Raises StreamClosed when nothing will arrive any more.
        """
        ...

    def write(self, data: bytes) -> None:
        """Have `data` sent, without waiting for it; any thread may call it.

        What can't be sent is lost, and then `read` raises StreamClosed soon.
        """
        ...

    def close(self) -> None: ...


class Host(Protocol):
    """A machine with job folders, and the runner on it.

    `job` is the name of a job folder, the same for every call about a job. All calls
    but `follow` return soon, may be repeated at any time, and raise TargetError when
    the host did not do what it should: TargetAwayError if it could not be asked. None
    of them ends a job, except `cancel`.
    """

    key: str

    def stage(self, job: str, spec: dict[str, Any], source: Source) -> Collection[str]:
        """Make the job folder: the files of `source`, then `job.json`.

        The SHA-256 of each content that had to be sent there. A folder that is staged
        already stays as it is. Raises DamagedSourceError.
        """
        ...

    def give_secrets(self, job: str, secrets: Mapping[str, Any]) -> None:
        """Leave for the staged job what is not to stand in its `job.json`.

        Its runner takes that away as the first thing it does; a job that was started,
        or that ended without, leaves nothing of it. `env` are variables of the script,
        whose names `job.json` has as `secrets`; `build` is what the making of its
        environment gets (computes/runner/building.py).
        """
        ...

    def start(self, job: str) -> dict[str, Any]:
        """Start the staged job, once however often this is called; its handle."""
        ...

    def state(self, job: str) -> dict[str, Any]:
        """The runner's word on the job: "state" is absent, not_started, running,
        ended or lost; "asked_to_end" the seconds since one that runs was canceled.
        """
        ...

    def cancel(self, job: str, *, grace_seconds: float, reason: str) -> None:
        """End the job, or see to it that it never starts."""
        ...

    def prevent(self, job: str, *, word: str, reason: str) -> None:
        """See to it that the job never starts, and that its last word is `word`.

        One that was started, or has a last word, is left alone.
        """
        ...

    def lay_out(self, name: str, source: Source) -> str:
        """Make the folder `name` of files that jobs share, once; where it is there.

        Another content needs another name. Raises DamagedSourceError.
        """
        ...

    def living(self) -> list[LivingJob]:
        """The jobs of which processes live there in this account, of any portal."""
        ...

    def end_living(self, job: str, *, grace_seconds: float, reason: str) -> None:
        """End what lives of a job, also if it ended or its folder is gone; soon."""
        ...

    def environments(self) -> list[IdleEnvironment]:
        """The environments that were built there and that no job uses or builds now."""
        ...

    def remove_environment(self, key: str) -> None:
        """Remove one of these; absent is fine, in use is not."""
        ...

    def write_log(self, job: str, data: bytes) -> None:
        """Add to the log of a job that is staged and has not been started."""
        ...

    def write_event(self, job: str, event: str, **facts: Any) -> None:
        """Add to the events of such a job, as its runner will."""
        ...

    def place(self, job: str) -> Place:
        """Where the job is, for who starts it there in another way."""
        ...

    def run(
        self, command: Sequence[str], *, stdin: bytes = b"", seconds: float = 60.0
    ) -> Ran:
        """Run a command there, without a shell, and wait for its end.

        Raises TargetError where there is no such program, or it takes longer.
        """
        ...

    def connect(self, path: str) -> socket.socket:
        """A connection to the Unix socket `path` there, to be closed soon.

        Raises the OSError that the host had with it.
        """
        ...

    def clean(self, job: str) -> None:
        """Remove the folder of a job that has ended; absent is fine."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the machine has and how busy it is: see computes/runner/facts.py."""
        ...

    def gpus(self) -> dict[str, Any]:
        """Its GPUs, and who uses them: see computes/runner/gpus.py."""
        ...

    def sweep(self) -> None:
        """Remove the contents of files that no job there has needed for long."""
        ...

    def follow(self) -> Stream:
        """Open the stream that tells what grows in the job folders."""
        ...
