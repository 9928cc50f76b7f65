"""Finding the lines that differ, in texts that nobody has vetted."""

import random
import re
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from runs.snapshots.differ import Block, TooLongError, differing_blocks
from runs.snapshots.hunks import CONTEXT, in_hunks
from runs.snapshots.words import changed_words

_SKLEARN = Path(sysconfig.get_path("purelib")) / "sklearn"
_LINES = 100_000
_TEXTS = st.lists(
    st.sampled_from(
        [
            *(b"a", b"b", b"\n", b"\n\n", b"\r\n", b"\xff", b"\0", b"\xe2\x82\xac"),
            *(b"@@ -1 +1 @@\n", b"diff --git old/0 new/0\n", b"--- old/0\n"),
            b"\\ No newline at end of file\n",
        ]
    ),
    max_size=30,
).map(b"".join)


def lines_of(text: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", text)


def applied(blocks: Sequence[Block], old: bytes, new: bytes) -> bytes:
    """The old text with the lines of the blocks taken from the new one."""
    before, after = lines_of(old), lines_of(new)
    found, at = [], 0
    for block in blocks:
        found += before[at : block.old_start]
        found += after[block.new_start : block.new_stop]
        at = block.old_stop
    return b"".join([*found, *before[at:]])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(_TEXTS, _TEXTS), min_size=1, max_size=4))
def test_the_blocks_applied_to_the_old_text_give_the_new(
    pairs: list[tuple[bytes, bytes]],
) -> None:
    for (old, new), blocks in zip(pairs, differing_blocks(pairs), strict=True):
        assert applied(blocks, old, new) == new
        assert applied([Block(*b[2:], *b[:2]) for b in blocks], new, old) == old


@settings(deadline=None, max_examples=60)
@given(_TEXTS, _TEXTS)
def test_hunks_hold_all_blocks_and_nothing_twice(old: bytes, new: bytes) -> None:
    before, after = lines_of(old), lines_of(new)
    [blocks] = differing_blocks([(old, new)])
    hunks = in_hunks(blocks, len(before), len(after))
    assert [block for hunk in hunks for block in hunk.blocks] == blocks
    old_end = new_end = 0
    for hunk in hunks:
        assert hunk.old_start - old_end == hunk.new_start - new_end >= 0
        for old_at, new_at, count in hunk.equal:
            same = before[old_at : old_at + count]
            assert same == after[new_at : new_at + count]
            assert len(same) == count <= 2 * CONTEXT
        old_end, new_end = hunk.old_stop, hunk.new_stop
    assert len(before) - old_end == len(after) - new_end


@pytest.mark.parametrize(
    ("old", "new", "blocks"),
    [
        (b"", b"", []),
        (b"", b"a\n", [(0, 0, 0, 1)]),
        (b"a\n", b"", [(0, 1, 0, 0)]),
        (b"a\nb\nc\n", b"a\nB\nc\n", [(1, 2, 1, 2)]),
        (b"a\n", b"a", [(0, 1, 0, 1)]),
        (b"a\n", b"a\r\n", [(0, 1, 0, 1)]),
        (b"a\n", b"b\na\nb\n", [(0, 0, 0, 1), (1, 1, 2, 3)]),
        ("ä\nö\n".encode(), "ä\nü\n".encode(), [(1, 2, 1, 2)]),
    ],
)
def test_small_texts(old: bytes, new: bytes, blocks: list[tuple[int, ...]]) -> None:
    assert differing_blocks([(old, new)]) == [[Block(*block) for block in blocks]]


def test_white_space_can_be_ignored() -> None:
    old, new = b"a b\nc\n", b"  a  b \r\nC\n"
    assert differing_blocks([(old, new)], ignore_space=True) == [[Block(1, 2, 1, 2)]]


def test_no_pairs_and_equal_ones_have_no_blocks() -> None:
    assert differing_blocks([]) == []
    assert differing_blocks([(b"a\n", b"a\n")] * 2) == [[], []]


def _hostile() -> dict[str, tuple[list[bytes], list[bytes]]]:
    dice = random.Random(1)
    some = [b"%d\n" % number for number in range(_LINES)]
    return {
        "two lines at random": (
            dice.choices([b"a\n", b"b\n"], k=_LINES),
            dice.choices([b"a\n", b"b\n"], k=_LINES),
        ),
        "fifty lines at random": (
            dice.choices(some[:50], k=_LINES),
            dice.choices(some[:50], k=_LINES),
        ),
        "in another order": (some, dice.sample(some, k=_LINES)),
        "backwards": (some, some[::-1]),
        "periods": (some[:7] * (_LINES // 7), some[:11] * (_LINES // 11)),
        "one edit in a hundred": (
            some,
            [line if dice.random() > 0.01 else b"edited\n" for line in some],
        ),
        "one long line": ([b"x" * 4_000_000], [b"x" * 3_999_999 + b"y"]),
    }


@pytest.mark.parametrize("case", _hostile())
def test_100_000_lines_of_any_kind_are_soon_compared(case: str) -> None:
    """A second or less each; the limit leaves room for a machine with other work."""
    old, new = map(b"".join, _hostile()[case])
    begin = time.monotonic()
    [blocks] = differing_blocks([(old, new)])
    assert time.monotonic() - begin < 8
    assert applied(blocks, old, new) == new


def test_what_takes_too_long_is_given_up() -> None:
    dice = random.Random(1)
    old, new = (
        b"".join(dice.choices([b"a\n", b"b\n"], k=10 * _LINES)) for _ in range(2)
    )
    begin = time.monotonic()
    with pytest.raises(TooLongError, match="take too long"):
        differing_blocks([(old, new)], seconds=0.3)
    assert time.monotonic() - begin < 5


def test_a_repository_around_the_folder_takes_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to the folder for temporary files could have put one there."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "objects").mkdir()
    (tmp_path / ".git" / "refs").mkdir()
    (tmp_path / ".git" / "config").write_text("[diff]\n\tinterHunkContext = broken\n")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert differing_blocks([(b"a\n", b"b\n")]) == [[Block(0, 1, 0, 1)]]


def test_edits_of_real_code_are_found() -> None:
    source = (_SKLEARN / "base.py").read_bytes()
    edited = source.replace(b"self", b"this", 3) + b"# the end\n"
    [blocks] = differing_blocks([(source, edited)])
    assert applied(blocks, source, edited) == edited
    assert sum(block.added for block in blocks) <= 4


def marked(lines: list[str], spans: list[list[tuple[int, int]]]) -> list[list[str]]:
    return [
        [line[start:stop] for start, stop in found]
        for line, found in zip(lines, spans, strict=True)
    ]


@pytest.mark.parametrize(
    ("old", "new", "gone", "came"),
    [
        ("x = f(a, b)", "x = f(a, c)", ["b"], ["c"]),
        ("x = 1", "x = 1  # why", [], ["  # why"]),
        ("rate=0.1", "rate=0.2", ["1"], ["2"]),
        ("one two three", "one 2 3 three", ["two"], ["2 3"]),
        ("größe = 1", "größe = 2", ["1"], ["2"]),
        # Another line altogether.
        ("return x", "import os, sys, re", [], []),
        ("", "new", [], []),
    ],
)
def test_the_words_that_changed_in_a_line_are_told(
    old: str, new: str, gone: list[str], came: list[str]
) -> None:
    [(before, after)] = changed_words([([old], [new])])
    assert marked([old], before) == [gone]
    assert marked([new], after) == [came]


def test_a_very_long_block_has_no_words_marked() -> None:
    old, new = ["a b c " * 10_000], ["a b d " * 10_000]
    assert changed_words([(old, new)]) == [([[]], [[]])]
