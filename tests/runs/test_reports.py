"""Reports of runners are taken as they are written, and nothing else is."""

import json
from typing import Any

import pytest

from runs.reports import Event, read_event, read_last_word, read_sample

WORD: dict[str, Any] = {
    "reason": "canceled",
    "exit_code": None,
    "signal": 15,
    "detail": "",
    "started": 1.5,
    "ended": 3.0,
    "log": {"bytes": 4, "sha256": "ab"},
    "receipt": {
        "asked": 2.0,
        "grace_seconds": 5,
        "processes": [
            {
                "pid": 7,
                "name": "python train.py",
                "signals": [{"signal": "SIGTERM", "time": 2.0}],
                "ended": 2.5,
            }
        ],
        "left": 0,
    },
}
HOSTILE = [
    b"",
    b"5",
    b"[]",
    b"{}",
    b"\xff",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 10_000,
]


def test_an_event() -> None:
    event = Event(event="exited", time=9.0, exit_code=3)
    line = b'{"event": "exited", "time": 9, "exit_code": 3, "signal": null, "new": 1}'
    assert read_event(line) == event


@pytest.mark.parametrize(
    "line",
    [
        *HOSTILE,
        b'{"event": 1, "time": 1}',
        b'{"event": "exited"}',
        b'{"event": "exited", "time": "now"}',
        b'{"event": "exited", "time": NaN}',
        b'{"event": "exited", "time": 1e999}',
        b'{"event": "exited", "time": %s}' % (b"9" * 400),
        b'{"event": "exited", "time": -1}',
        b'{"event": "exited", "time": 1, "exit_code": "0"}',
        b'{"event": "exited", "time": 1, "exit_code": 256}',
        b'{"event": "exited", "time": 1, "signal": {}}',
        b'{"event": "\\u0000", "time": 1}',
        b'{"event": "\\ud800", "time": 1}',
    ],
)
def test_a_line_that_is_no_event(line: bytes) -> None:
    assert read_event(line) is None


def test_a_last_word() -> None:
    word = read_last_word(json.dumps(WORD).encode())
    assert word
    assert word.receipt
    assert word.receipt.processes[0].signals[0].signal == "SIGTERM"
    assert (word.started, word.ended, word.log.bytes) == (1.5, 3.0, 4)


@pytest.mark.parametrize("content", HOSTILE)
def test_what_is_no_last_word(content: bytes) -> None:
    assert read_last_word(content) is None


@pytest.mark.parametrize(
    "change",
    [
        {"ended": None},
        {"ended": "now"},
        {"started": 1e300},
        {"exit_code": "0"},
        {"exit_code": 10**30},
        {"exit_code": True},
        {"signal": -1},
        {"detail": "\0"},
        {"detail": 5},
        {"reason": None},
        {"log": None},
        {"log": {"bytes": -1, "sha256": ""}},
        {"receipt": {}},
        {"receipt": {**WORD["receipt"], "left": "none"}},
        {"receipt": {**WORD["receipt"], "processes": 5}},
        {"receipt": {**WORD["receipt"], "processes": [{"pid": 1}]}},
    ],
)
def test_a_last_word_with_one_wrong_fact_is_none(change: dict[str, Any]) -> None:
    assert read_last_word(json.dumps({**WORD, **change}).encode()) is None


def test_a_sample() -> None:
    sample = read_sample(b'{"time": 5, "gpus": [{"index": 0, "util_percent": 7}]}')
    assert sample
    assert (sample.time, sample.cpu_percent) == (5.0, None)
    assert [gpu.util_percent for gpu in sample.gpus] == [7.0]


@pytest.mark.parametrize(
    "line",
    [
        *HOSTILE,
        b'{"time": 1, "cpu_percent": "all"}',
        b'{"time": 1, "memory_bytes": [1]}',
        b'{"time": 1, "gpus": 5}',
        b'{"time": 1, "gpus": [{"index": {}}]}',
    ],
)
def test_a_line_that_is_no_sample(line: bytes) -> None:
    assert read_sample(line) is None
