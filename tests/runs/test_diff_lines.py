"""The lines of a diff, from two contents to what a page shows of them."""

import hashlib
import re
import time
from collections.abc import Mapping
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from runs.diff_drawing import draw, draw_gap
from runs.diff_html import LONGEST, line_html
from runs.diff_lines import MOST_LINES, Gap, Line, in_pairs, parts_of
from runs.diff_notes import notes_on
from runs.snapshots import SnapshotError
from runs.snapshots.changes import Change
from runs.snapshots.diff import LARGEST, FileDiff, Obstacle, compare
from runs.snapshots.manifest import Entry

_ELEMENT = re.compile(r"<[^>]*>")
_LINES = st.lists(st.sampled_from(["a", "b", "<b>&amp;", "x = 1", ""]), max_size=40)
_PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02"


def file(content: bytes, path: str = "a.txt", **more: object) -> Entry:
    sha256 = hashlib.sha256(content).hexdigest()
    entry = {"path": path, "size": len(content), "sha256": sha256, **more}
    return Entry(**entry)  # type: ignore[arg-type]


def diff(
    old: bytes | None, new: bytes | None, *, path: str = "a.txt", **options: bool
) -> FileDiff:
    contents = {hashlib.sha256(c).hexdigest(): c for c in (old, new) if c is not None}
    change = Change(*(None if c is None else file(c, path) for c in (old, new)))
    [found] = compare([change], lambda entry: contents[entry.sha256], **options)
    return found


def shown(found: FileDiff) -> list[tuple[str, int, int, str]]:
    """The kind, the numbers and the text of the lines."""
    [drawn] = draw([found])
    return [
        (line.kind, line.old, line.new, unescape(_ELEMENT.sub("", line.html)))
        for part in drawn.parts
        for line in part.lines
    ]


def test_lines_have_their_numbers_on_both_sides_and_gaps_between() -> None:
    old = [f"line {n}" for n in range(1, 31)]
    new = [*old[:9], "ten", *old[10:24], *old[25:]]
    found = diff("\n".join(old).encode() + b"\n", "\n".join(new).encode() + b"\n")
    parts, beyond = parts_of(found)
    assert [part.gap for part in parts] == [
        Gap(0, 0, 6),
        Gap(13, 13, 8),
        Gap(28, 27, 2),
    ]
    assert beyond == 0
    assert (found.added, found.removed) == (1, 2)
    lines = shown(found)
    assert lines[2:5] == [
        ("same", 9, 9, "line 9"),
        ("removed", 10, 0, "line 10"),
        ("added", 0, 10, "ten"),
    ]
    assert ("removed", 25, 0, "line 25") in lines
    assert lines[-1] == ("same", 28, 27, "line 28")


@settings(deadline=None, max_examples=40)
@given(_LINES, _LINES)
def test_what_is_shown_of_both_sides_is_what_is_in_them(
    old: list[str], new: list[str]
) -> None:
    found = diff(
        "".join(f"{n}\n" for n in old).encode(), "".join(f"{n}\n" for n in new).encode()
    )
    parts, _ = parts_of(found)
    at_old = at_new = 0
    for part in parts:
        gap = part.gap or Gap(at_old, at_new, 0)
        assert (gap.old, gap.new) == (at_old, at_new)
        assert old[at_old : at_old + gap.lines] == new[at_new : at_new + gap.lines]
        at_old, at_new = at_old + gap.lines, at_new + gap.lines
        for line in part.lines:
            assert line.old in (0, at_old + 1)
            assert line.new in (0, at_new + 1)
            at_old, at_new = line.old or at_old, line.new or at_new
    if found.blocks:
        assert (at_old, at_new) == (len(old), len(new))
    for kind, number, newer, text in shown(found):
        assert text == (old[number - 1] if kind == "removed" else new[newer - 1])


def test_side_by_side_what_was_replaced_stands_beside_what_came() -> None:
    same, gone, came = Line(old=1, new=1), Line(old=2), Line(new=2)
    more, alone = Line(new=3), Line(old=4)
    after = Line(old=3, new=4)
    assert in_pairs([same, gone, came, more, after, alone]) == [
        (same, same),
        (gone, came),
        (None, more),
        (after, after),
        (alone, None),
    ]


def test_the_words_that_changed_are_marked() -> None:
    [drawn] = draw([diff(b"rate = 0.1\n", b"rate = 0.2\n", path="a.py")])
    gone, came = drawn.parts[0].lines
    assert re.findall(r'<span class="hl-number diff-word">(.*?)</span>', gone.html) == [
        "1"
    ]
    assert re.findall(r'<span class="hl-number diff-word">(.*?)</span>', came.html) == [
        "2"
    ]
    assert _ELEMENT.sub("", came.html) == "rate = 0.2"


@pytest.mark.parametrize(
    ("old", "new", "texts", "note"),
    [
        (b"a\n", b"a\r\n", ["a", "aCRLF"], "Line ends: LF before, CRLF now."),
        (
            b"a\r\nb\n",
            b"a\nb\n",
            ["aCRLF", "a", "b"],
            "Line ends: CRLF and LF before, LF",
        ),
        (b"a\r\nb\r\n", b"a\r\nc\r\n", ["a", "b", "c"], ""),
        (b"a", b"a\n", ["ano line end", "a"], ""),
        (b"a\nb\n", b"a\nb", ["a", "b", "bno line end"], ""),
        (b"a", b"b", ["a", "b"], ""),
        ("\ufeffa\n".encode(), b"a\n", ["\\ufeffa", "a"], ""),
        ("größe\n".encode(), "größer 日本\n".encode(), ["größe", "größer 日本"], ""),
        ("größe\n".encode("latin-1"), b"x\n", ["gr\ufffd\ufffde", "x"], ""),
    ],
)
def test_line_ends_and_encodings_are_told(
    old: bytes, new: bytes, texts: list[str], note: str
) -> None:
    found = diff(old, new)
    assert [text for *_, text in shown(found)] == texts
    assert " ".join(notes_on(found)).startswith(note)


def test_signs_that_hide_what_a_line_does_are_spelled_out() -> None:
    trojan = "if role != 'user\u202e \u2066# admin\u2069':\x07\n"
    [(_, _, _, text)] = shown(diff(None, trojan.encode(), path="a.py"))
    assert text == "if role != 'user\\u202e \\u2066# admin\\u2069':\\x07"


def test_markup_in_a_line_stays_text() -> None:
    [drawn] = draw([diff(b"<b>1</b>\n", b"<script>alert(1)</script> &amp;\n")])
    html = "".join(line.html for line in drawn.parts[0].lines)
    assert "<script" not in html
    assert "&amp;amp;" in html


def test_of_a_long_line_the_part_that_changed_is_shown() -> None:
    old = b"a=1;" * 5000 + b"x" + b";b=2" * 5000
    [(_, _, _, gone), (_, _, _, came)] = shown(diff(old, old.replace(b"x", b"y")))
    assert "x" in gone
    assert "y" in came
    assert "more" in gone
    assert len(gone) < LONGEST + 60


def test_a_line_of_megabytes_is_soon_cut() -> None:
    begin = time.monotonic()
    shown = line_html("&lt;" * 8_000_000)
    assert time.monotonic() - begin < 3
    assert shown.endswith('<span class="diff-end">… 7,999,000 more …</span>')


def test_a_line_is_cut_where_nothing_is_marked() -> None:
    html = line_html("&lt;" * 3000)
    assert unescape(_ELEMENT.sub("", html)) == "<" * LONGEST + "… 2,000 more …"


def test_marks_and_colours_share_a_line() -> None:
    html = line_html('a<span class="hl-name">bcd</span>e &lt;', [(2, 5)])
    assert html == (
        'a<span class="hl-name">b</span><span class="hl-name diff-word">cd</span>'
        '<span class="diff-word">e</span> &lt;'
    )


def test_a_page_bears_so_many_lines() -> None:
    found = diff(None, b"line\n" * 100_000)
    assert found.added == 100_000
    [drawn] = draw([found])
    assert sum(len(part.lines) for part in drawn.parts) == MOST_LINES
    assert drawn.beyond == 100_000 - MOST_LINES


@pytest.mark.parametrize(
    ("old", "new", "obstacle"),
    [
        (b"a\0b", b"a", Obstacle.BINARY),
        (_PICTURE, _PICTURE + b"x", Obstacle.BINARY),
        (None, b"\0", Obstacle.BINARY),
        (b"a", b"x" * (LARGEST + 1), Obstacle.LARGE),
        (b"a", b"\n" * 200_001, Obstacle.LARGE),
        (b"", b"a", Obstacle.NONE),
    ],
)
def test_what_can_not_be_compared_says_why(
    old: bytes | None, new: bytes | None, obstacle: Obstacle
) -> None:
    found = diff(old, new)
    assert found.obstacle == obstacle
    assert bool(notes_on(found)) == bool(obstacle)
    assert bool(found.blocks) != bool(obstacle)


def test_a_file_that_is_lost_is_told_and_the_others_are_shown() -> None:
    def read(entry: Entry) -> bytes:
        if entry.path == "lost":
            raise SnapshotError("It is gone.")
        return entry.path.encode()

    changes = [
        Change(None, file(b"there", "there")),
        Change(None, file(b"lost", "lost")),
    ]
    there, lost = compare(changes, read)
    assert there.added == 1
    assert lost.obstacle == Obstacle.MISSING
    assert "missing" in notes_on(lost)[0]


def test_what_is_beyond_a_bound_is_compared_later() -> None:
    content = b"x" * LARGEST
    entries = [file(content, f"{n}") for n in range(10)]
    found = compare([Change(None, entry) for entry in entries], lambda _: content)
    assert [each.obstacle for each in found] == [Obstacle.NONE] * 8 + [
        Obstacle.LATER
    ] * 2


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ({}, {"executable": True}, ["The file is executable now."]),
        ({"executable": True}, {}, ["The file is not executable any more."]),
        ({}, {"path": "b.txt"}, ["Moved, and otherwise as before."]),
        (None, {"executable": True}, ["The file is executable."]),
        (None, {"kind": "folder", "sha256": "", "size": 0}, ["It is an empty folder."]),
        (
            {"kind": "link", "target": "x\ny", "sha256": "", "size": 0},
            {"kind": "link", "target": "z", "sha256": "", "size": 0},
            ["The link led to x\\ny and leads to z."],
        ),
        (
            {"kind": "link", "target": "x", "sha256": "", "size": 0},
            {},
            ["It was a link to x and is a file."],
        ),
    ],
)
def test_what_is_not_a_line_is_told_in_a_sentence(
    before: Mapping[str, object] | None, after: Mapping[str, object], notes: list[str]
) -> None:
    old = None if before is None else file(b"same\n", **before)  # type: ignore[arg-type]
    new = file(b"same\n", **after)  # type: ignore[arg-type]
    [found] = compare([Change(old, new)], lambda _: b"same\n")
    assert notes_on(found) == notes


def test_an_empty_file_is_told_of() -> None:
    assert notes_on(diff(None, b"")) == ["The file is empty."]


def test_white_space_alone_is_told_of_when_it_is_ignored() -> None:
    found = diff(b"a b\n", b"a  b\n", ignore_space=True)
    assert notes_on(found) == ["Only white space differs."]
    assert shown(found) == []


def test_where_white_space_is_ignored_each_side_keeps_its_own() -> None:
    [drawn] = draw([diff(b"if x:\n  a\nb\n", b"if x:\n    a\nc\n", ignore_space=True)])
    line = drawn.parts[0].lines[1]
    assert (line.kind, line.old_html, line.html) == ("same", "  a", "    a")


def test_the_lines_of_a_gap_are_drawn_and_no_others() -> None:
    text = b"".join(b"%d\n" % n for n in range(1, 101))
    found = diff(text, text + b"more\n")
    lines = draw_gap(found, Gap(10, 10, 5))
    assert [(line.old, line.new, line.html) for line in lines] == [
        (n, n, str(n)) for n in range(11, 16)
    ]
    assert draw_gap(found, Gap(99, 99, 2)) == []
    assert all(one.new + 1 == other.new for one, other in pairwise(lines))
