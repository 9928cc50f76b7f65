"""The log index and its readers against reading the whole log naively."""

import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from runs.logs import (
    STRIDE,
    LineLimits,
    LogIndexWriter,
    LogReader,
    line_of,
    search,
    tail_start,
    total_lines,
)
from runs.logs.index import index_path

# Small measures, so that a few bytes have many strides and cut lines.
SMALL = 16
LIMITS = LineLimits(piece=5, whole=10, answer=10_000, read=32)

# Files are made for each example, and a busy machine is slow at times.
unhurried = settings(deadline=None)

pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"\n",
            b"\n\n\n",
            b"\r\n",
            b"50%\r60%\r",
            b"\0" * 20,
            "äöü€😀".encode(),
            b"\xff",
        ]
    ),
    st.integers(1, 120).map(lambda size: b"x" * size),
)
contents = st.lists(pieces, max_size=12).map(b"".join)


@contextlib.contextmanager
def log_of(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "std_log.txt")
        path.write_bytes(content)
        yield path


def naive_lines(content: bytes) -> list[tuple[int, bytes]]:
    """Offset and bytes of each line."""
    found, offset = [], 0
    for line in content.split(b"\n"):
        found.append((offset, line))
        offset += len(line) + 1
    return found if found[-1][1] else found[:-1]


def naive_entries(content: bytes, stride: int) -> bytes:
    """The whole index file; none is kept for a log below one stride."""
    if len(content) < stride:
        return b""
    return b"".join(
        struct.pack(">QQ", content[:at].count(b"\n"), content.rfind(b"\n", 0, at) + 1)
        for at in range(0, len(content) + 1, stride)
    )


def index_of(path: Path) -> bytes:
    index = index_path(path)
    return index.read_bytes() if index.exists() else b""


@unhurried
@given(st.lists(contents, max_size=6))
def test_an_index_that_grows_in_steps_is_the_one_built_at_once(
    steps: list[bytes],
) -> None:
    with log_of(b"") as path:
        writer = LogIndexWriter(path, stride=SMALL)
        for step in steps:
            with path.open("ab") as file:
                file.write(step)
            writer.extend()
            writer.extend()
        writer.close()
        assert index_of(path) == naive_entries(path.read_bytes(), SMALL)


@unhurried
@given(contents, st.binary(max_size=100), st.integers(0, 300))
def test_a_torn_or_foreign_index_is_mended(
    content: bytes, foreign: bytes, kept: int
) -> None:
    right = naive_entries(content, SMALL)
    with log_of(content) as path:
        index_path(path).write_bytes(right[:kept] + foreign)
        writer = LogIndexWriter(path, stride=SMALL)
        writer.extend()
        writer.close()
        index = index_of(path)
        assert len(index) == len(right)
        if kept <= len(right) and not foreign:
            assert index == right


@unhurried
@given(contents, st.integers(0, 20), st.integers(1, 20))
def test_a_hole_of_zeros_in_the_index_misleads_nobody(
    content: bytes, first: int, count: int
) -> None:
    content = b"first line\n" + content
    right = naive_entries(content, SMALL)
    hole = slice(first * SMALL, min((first + count) * SMALL, len(right)))
    torn = bytearray(right)
    torn[hole] = bytes(len(torn[hole]))
    with log_of(content) as path:
        index_path(path).write_bytes(torn)
        with LogReader(path, stride=SMALL) as log:
            for number, (offset, _) in enumerate(naive_lines(content)):
                assert log.mark_at(offset).newlines == number


@unhurried
@given(contents)
def test_lines_offsets_and_totals_agree_with_counting(content: bytes) -> None:
    expected = naive_lines(content)
    with log_of(content) as path, LogReader(path, stride=SMALL) as log:
        assert log.total == len(expected)
        assert log.size == len(content)
        for number, (offset, line) in enumerate(expected):
            assert log.offset_of(number) == offset
            assert log.line_end(offset, number) == offset + len(line)
        assert log.offset_of(len(expected)) >= len(content) - 1
        assert log.offset_of(len(expected) + 7) == len(content)
        for offset in range(len(content) + 2):
            mark = log.mark_at(offset)
            before = content[:offset]
            assert mark.newlines == before.count(b"\n")
            assert mark.line_start == before.rfind(b"\n") + 1


@unhurried
@given(contents, st.integers(0, 30), st.integers(0, 30))
def test_read_lines_are_the_lines_and_long_ones_keep_both_ends(
    content: bytes, start: int, count: int
) -> None:
    with log_of(content) as path, LogReader(path, stride=SMALL) as log:
        found = list(log.lines(start, count, LIMITS))
    expected = naive_lines(content)[start : start + count]
    assert [(line.offset, line.length) for line in found] == [
        (offset, len(line)) for offset, line in expected
    ]
    for line, (_, whole) in zip(found, expected, strict=True):
        if len(whole) <= LIMITS.whole:
            assert line.text == whole.decode(errors="replace")
            assert line.end is None
        else:
            assert line.end is not None
            assert whole.decode(errors="replace").startswith(line.text.rstrip("\ufffd"))
            assert len(line.text.encode()) <= LIMITS.piece * 3


@unhurried
@given(contents, st.integers(1, 10), st.integers(1, 80))
def test_the_tail_starts_with_a_line_and_stays_within_reach(
    content: bytes, lines: int, reach: int
) -> None:
    with log_of(content) as path, LogReader(path, stride=SMALL) as log:
        offset, number = log.tail_start(lines, reach)
    starts = [at for at, _ in naive_lines(content)] + [len(content)]
    assert 0 <= len(content) - offset <= reach
    assert number == content[:offset].count(b"\n")
    if any(start >= len(content) - reach for start in starts[:-1]):
        assert offset in starts
    assert len(naive_lines(content)) - number <= lines


texts = st.text(alphabet="abAB1äÄß€\0", min_size=1, max_size=6)


@unhurried
@given(
    content=st.lists(st.one_of(texts.map(str.encode), pieces), max_size=20).map(
        b"".join
    ),
    text=texts,
    ignore_case=st.booleans(),
    chunk=st.integers(1, 40),
    budget=st.integers(1, 60),
    max_hits=st.integers(1, 4),
)
def test_a_search_in_pieces_finds_each_matching_line_once(
    *,
    content: bytes,
    text: str,
    ignore_case: bool,
    chunk: int,
    budget: int,
    max_hits: int,
) -> None:
    found, position = [], 0
    with log_of(content) as path, LogReader(path, stride=SMALL) as log:
        while True:
            answer = search(
                log,
                text,
                start=position,
                ignore_case=ignore_case,
                budget=budget,
                max_hits=max_hits,
                chunk=chunk,
            )
            assert len(answer.hits) <= max_hits
            found += [(hit.line, hit.offset) for hit in answer.hits]
            if answer.next is None:
                break
            assert answer.next > position
            position = answer.next
    assert found == naive_hits(content, text, ignore_case=ignore_case)


def naive_hits(
    content: bytes, text: str, *, ignore_case: bool
) -> list[tuple[int, int]]:
    hits = []
    for number, (offset, line) in enumerate(naive_lines(content)):
        at = naive_find(line, text, ignore_case=ignore_case)
        if at >= 0:
            hits.append((number, offset + at))
    return hits


def naive_find(line: bytes, text: str, *, ignore_case: bool) -> int:
    if not ignore_case:
        return line.find(text.encode())
    for at in range(len(line)):
        if matches_at(line[at:], text):
            return at
    return -1


def matches_at(line: bytes, text: str) -> bool:
    if not text:
        return True
    first, rest = text[0], text[1:]
    forms = {form.encode() for form in (first, first.lower(), first.upper())}
    return any(
        line.startswith(form) and matches_at(line[len(form) :], rest) for form in forms
    )


def test_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "std_log.txt"
    assert (total_lines(path), line_of(path, 5), tail_start(path)) == (0, 0, (0, 0))
    with LogReader(path) as log:
        assert list(log.lines(0, 10)) == []
        assert search(log, "x").hits == []
    assert not index_path(path).exists()


def test_a_line_of_200_mb_is_read_by_its_ends(tmp_path: Path) -> None:
    path = tmp_path / "std_log.txt"
    length = 200_000_000
    with path.open("wb") as file:
        file.write(b"before\n<")
        file.truncate(7 + length - 1)
        file.seek(0, os.SEEK_END)
        file.write(b">\nafter")
    with LogReader(path) as log:
        assert log.total == 3
        before, long, after = log.lines(0, 10)
        assert (before.text, after.text) == ("before", "after")
        assert (long.offset, long.length) == (7, length)
        assert long.text.startswith("<\0")
        assert long.end is not None
        assert long.end.endswith("\0>")
        assert len(long.text) == len(long.end) == 8 * 1024
        assert log.tail_start(200, 256 * 1024) == (7 + length + 1, 2)
        (hit,) = search(log, "<", budget=STRIDE).hits
        assert (hit.line, hit.offset) == (1, 7)


def test_a_search_that_hits_in_a_long_line_goes_on_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "std_log.txt"
    path.write_bytes(b"x" * (5 * STRIDE) + b"\nmore x\n")
    with LogReader(path) as log:
        found = search(log, "x", chunk=1000)
    assert [hit.line for hit in found.hits] == [0, 1]


def test_an_answer_stops_before_it_grows_large(tmp_path: Path) -> None:
    path = tmp_path / "std_log.txt"
    path.write_bytes((b"y" * 16_000 + b"\n") * 200)
    with LogReader(path) as log:
        found = list(log.lines(10, 1000))
    assert 60 < len(found) < 80
    assert found[0].offset == 10 * 16_001


def test_a_log_that_begins_anew_gets_a_new_index(tmp_path: Path) -> None:
    path = tmp_path / "std_log.txt"
    path.write_bytes(b"old\n" * STRIDE)
    writer = LogIndexWriter(path)
    writer.extend()
    os.truncate(path, 0)
    writer.restart()
    path.write_bytes(b"new line\n" * STRIDE)
    writer.extend()
    writer.close()
    assert index_of(path) == naive_entries(path.read_bytes(), STRIDE)


@pytest.mark.parametrize("count", [2, 5])
def test_several_writers_agree(tmp_path: Path, count: int) -> None:
    path = tmp_path / "std_log.txt"
    path.touch()
    writers = [LogIndexWriter(path, stride=SMALL) for _ in range(count)]
    for step in range(200):
        with path.open("ab") as file:
            file.write(b"%d\n" % step * (step % 7))
        writers[step % count].extend()
    for writer in writers:
        writer.extend()
        writer.close()
    assert index_of(path) == naive_entries(path.read_bytes(), SMALL)


def test_a_reader_needs_no_index_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "std_log.txt"
    path.write_bytes(b"line\n" * (3 * STRIDE))
    full = OSError(28, "No space left on device")

    def refuse(*_: object) -> int:
        raise full

    monkeypatch.setattr("runs.logs.index.os.pwrite", refuse)
    with LogReader(path) as log:
        assert log.total == 3 * STRIDE
        assert log.offset_of(2 * STRIDE) == 2 * STRIDE * 5
