"""What a runner reports of a job: its events, its last word, its samples.

Only the runner should write these files, but the script can write there, too: what is
not as the runner writes it (computes/runner/runner.py) is none. Times are in seconds
since 1970.
"""

from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

# Beyond this no clock of a computer is right, and some dates can't be shown.
_Time = Annotated[float, Meta(gt=0, lt=4e9)]
_Number = Annotated[float, Meta(ge=0, lt=1e18)]
_Count = Annotated[int, Meta(ge=0, lt=10**18)]
_Byte = Annotated[int, Meta(ge=0, le=255)]
# No database keeps a NUL.
_Text = Annotated[str, Meta(pattern=r"\A[^\0]*\Z")]
_T = TypeVar("_T")


class Event(Struct, frozen=True, kw_only=True):
    """A line of `events.jsonl`; that of an end has an exit code or a signal.

    What is told of an environment has a `state`, its `key`, and when it was built the
    `seconds` that this took; `bytes` are those on the disk. `log_bytes` is where the
    script's own part of the log begins.
    """

    event: _Text
    time: _Time
    exit_code: _Byte | None = None
    signal: _Byte | None = None
    state: _Text = ""
    key: _Text = ""
    seconds: _Number | None = None
    bytes: _Count | None = None
    log_bytes: _Count | None = None


class SentSignal(Struct, frozen=True, kw_only=True):
    signal: _Text
    time: _Time


class EndedProcess(Struct, frozen=True, kw_only=True):
    pid: _Count
    name: _Text
    signals: list[SentSignal]
    ended: _Time


class Receipt(Struct, frozen=True, kw_only=True):
    """What it took to end a run: each process, and how many are left."""

    asked: _Time
    grace_seconds: _Number
    processes: list[EndedProcess]
    left: _Count


class LogFacts(Struct, frozen=True, kw_only=True):
    """The log as the runner saw it at the end."""

    bytes: _Count
    sha256: _Text


class LastWord(Struct, frozen=True, kw_only=True):
    """What `exit.json` says; `started` is None if the script never was."""

    reason: _Text
    ended: _Time
    log: LogFacts
    detail: _Text = ""
    started: _Time | None = None
    exit_code: _Byte | None = None
    signal: _Byte | None = None
    # For how long it was idle, if it was ended for that.
    idle_seconds: _Number | None = None
    receipt: Receipt | None = None


class Gpu(Struct, frozen=True, kw_only=True):
    index: _Count
    name: _Text = ""
    util_percent: _Number | None = None
    memory_used_bytes: _Number | None = None
    memory_total_bytes: _Number | None = None


class Sample(Struct, frozen=True, kw_only=True):
    """A line of `resources.jsonl`."""

    time: _Time
    cpu_percent: _Number | None = None
    memory_bytes: _Number | None = None
    processes: _Number | None = None
    gpus: list[Gpu] = []


def read_event(line: bytes) -> Event | None:
    return _read(line, _EVENT)


def read_last_word(content: bytes) -> LastWord | None:
    return _read(content, _LAST_WORD)


def read_sample(line: bytes) -> Sample | None:
    return _read(line, _SAMPLE)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_EVENT = msgspec.json.Decoder(Event)
_LAST_WORD = msgspec.json.Decoder(LastWord)
_SAMPLE = msgspec.json.Decoder(Sample)


def _read(content: bytes, decoder: "msgspec.json.Decoder[_T]") -> _T | None:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None
