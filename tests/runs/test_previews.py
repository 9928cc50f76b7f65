"""Showing files whose names and contents nobody has vetted."""

import json
import struct

import pytest

from runs.file_names import in_query, printable
from runs.pictures import picture_of
from runs.previews import (
    HEAD,
    MOST_COLUMNS,
    MOST_LINES,
    MOST_ROWS,
    Kind,
    Preview,
    preview,
)


def png(width: int, height: int) -> bytes:
    """The beginning of a picture, which is all that is looked at."""
    size = struct.pack(">II", width, height)
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + b"\x08\x02\0\0\0"


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xfe\0\x06\xff\xc0\0\0"
    frame = b"\xff\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width)
    return b"\xff\xd8" + comment + frame


def webp(chunk: bytes, content: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + chunk + b"\0\0\0\0" + content


def show(name: str, content: bytes, size: int | None = None) -> Preview:
    return preview(name, content[:HEAD], size or len(content))


def test_text_is_shown_as_it_is() -> None:
    shown = show("outputs/report.txt", b"<script>alert(1)</script>\nzwei\n")
    assert shown.kind == Kind.TEXT
    assert shown.text == "<script>alert(1)</script>\nzwei\n"
    assert shown.note == ""


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = show("logs/long.txt", b"x" * (HEAD + 1))
    assert len(shown.text) == HEAD
    assert "first 1 MiB" in shown.note


def test_an_empty_file_says_so() -> None:
    assert show("outputs/empty.csv", b"").note == "The file is empty."


@pytest.mark.parametrize(
    "content", [b"\x80\x04\x95\x00\x00", bytes(range(128, 256)) * 20, b"PK\x03\x04\0\0"]
)
def test_bytes_that_are_no_text_are_not_shown(content: bytes) -> None:
    shown = show("outputs/model.txt", content)
    assert shown.kind == Kind.NONE
    assert "not text" in shown.note


def test_a_few_bytes_of_another_encoding_are_still_text() -> None:
    assert show("outputs/latin.txt", "Prüfung für\n".encode("latin-1")).text == (
        "Pr\ufffdfung f\ufffdr\n"
    )


def test_json_is_laid_out() -> None:
    content = {"accuracy": 0.97, "big": 12345678901234567890, "name": "日本"}
    shown = show("outputs/metrics.json", json.dumps(content).encode())
    assert shown.text == json.dumps(content, indent=2, ensure_ascii=False)


@pytest.mark.parametrize(
    "content", [b"{", b"[" * 100_000, b"9" * 5000, rb'"\ud800"', b'{"a": 1} trailing']
)
def test_what_only_claims_to_be_json_is_shown_as_text(content: bytes) -> None:
    shown = show("outputs/metrics.json", content)
    assert shown.kind == Kind.TEXT
    assert shown.text == content.decode()
    assert "not valid JSON" in shown.note


def test_csv_becomes_a_table() -> None:
    shown = show("outputs/a.csv", b'name,score\n"a, b",1\n\nc,"two\nlines"\n')
    assert shown.kind == Kind.TABLE
    assert shown.table.header == ["name", "score"]
    assert shown.table.rows == [["a, b", "1"], ["c", "two\nlines"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"x;y\n1;2,5\n"),
        ("a.tsv", b"x\ty\n1\t2,5\n"),
        ("A.CSV", b"x|y\n1|2,5\n"),
    ],
)
def test_other_delimiters_are_understood(name: str, content: bytes) -> None:
    assert show(name, content).table.rows == [["1", "2,5"]]


def test_a_table_of_numbers_alone_has_no_header() -> None:
    shown = show("outputs/matrix.csv", b"1,2\n3,4e5\n")
    assert shown.table.header == []
    assert shown.table.rows == [["1", "2"], ["3", "4e5"]]


@pytest.mark.parametrize("head", [b"a,b\n", b""])
def test_a_long_table_is_cut_and_says_so(head: bytes) -> None:
    exact = show("a.csv", head + b"1,2\n" * MOST_ROWS)
    assert len(exact.table.rows) == MOST_ROWS
    assert exact.note == ""
    longer = show("a.csv", head + b"1,2\n" * (MOST_ROWS + 5))
    assert len(longer.table.rows) == MOST_ROWS
    assert "first 1,000 rows" in longer.note


def test_the_row_that_the_limit_cuts_is_left_out() -> None:
    shown = show("a.csv", b"name\n" + b"y" * (HEAD // 2) + b"\n" + b"z" * HEAD)
    assert len(shown.table.rows) == 1 or shown.kind == Kind.TEXT


def test_a_wide_table_is_cut_and_says_so() -> None:
    wide = ",".join(f"c{column}" for column in range(MOST_COLUMNS + 1))
    shown = show("a.csv", f"{wide}\n".encode())
    assert len(shown.table.header) == MOST_COLUMNS
    assert f"{MOST_COLUMNS} of {MOST_COLUMNS + 1} columns" in shown.note


@pytest.mark.parametrize(
    ("head", "content_type", "width", "height"),
    [
        (png(640, 480), "image/png", 640, 480),
        (jpeg(300, 200), "image/jpeg", 300, 200),
        (b"GIF89a" + struct.pack("<HH", 64, 32), "image/gif", 64, 32),
        (
            webp(b"VP8X", b"\0\0\0\0" + b"\x7f\x02\x00" + b"\xdf\x01\x01"),
            "image/webp",
            640,
            480 + (1 << 16),
        ),
        (
            webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)),
            "image/webp",
            640,
            480,
        ),
        (
            webp(b"VP8 ", b"\0" * 6 + struct.pack("<HH", 640, 480 | 1 << 14)),
            "image/webp",
            640,
            480,
        ),
    ],
)
def test_a_picture_is_measured_without_decoding_it(
    head: bytes, content_type: str, width: int, height: int
) -> None:
    picture = picture_of(head)
    assert picture is not None
    assert picture.content_type == content_type
    assert (picture.width, picture.height) == (width, height)
    assert show("outputs/plot.txt", head).kind == Kind.IMAGE


@pytest.mark.parametrize(
    "head",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\x04ab and no segment",
        b"RIFF\0\0\0\0WEBPVP9 ",
        b"BM......",
        b"",
    ],
)
def test_everything_else_is_no_picture(head: bytes) -> None:
    assert picture_of(head) is None


def test_a_drawing_is_shown_as_its_text() -> None:
    assert show("outputs/x.svg", b"<svg onload=alert(1)>").kind == Kind.TEXT


@pytest.mark.parametrize(
    ("head", "size"), [(png(60_000, 60_000), 900_000), (png(10, 10), 1 << 30)]
)
def test_a_picture_that_a_browser_could_choke_on_is_not_shown(
    head: bytes, size: int
) -> None:
    shown = show("outputs/bomb.png", head, size)
    assert shown.kind == Kind.NONE
    assert "pixels" in shown.note
    assert "Download it" in shown.note


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_more_lines_than_a_page_can_bear_are_cut(name: str) -> None:
    exact = show(name, b"x\n" * MOST_LINES)
    assert exact.note == ""
    assert exact.text.count("\n") == MOST_LINES
    longer = show(name, b"\n" * HEAD)
    assert longer.text == "\n" * MOST_LINES
    assert f"first {MOST_LINES:,} lines" in longer.note


def test_json_that_would_grow_beyond_measure_is_shown_as_it_is() -> None:
    deep = b"[" * 900 + b"1," * 100_000 + b"1" + b"]" * 900
    assert show("outputs/bomb.json", deep).text == deep.decode()


def test_odd_quotes_do_not_break_a_table() -> None:
    content = 'a,b\n"open quote,1\nx,"y ""z"""\n'
    assert show("a.csv", content.encode()).kind == Kind.TABLE
    huge = b'name,text\n1,"' + b"x" * 200_000 + b'"\n'
    assert show("a.csv", huge).kind == Kind.TEXT


def test_a_row_ends_only_where_a_line_does() -> None:
    content = "name,text\n1,one\u2028two\x0bthree\n".encode()
    assert show("a.csv", content).table.rows == [["1", "one\u2028two\x0bthree"]]


def test_markdown_keeps_its_source() -> None:
    shown = show("outputs/report.md", b"# Title\n<img src=x onerror=alert(1)>")
    assert shown.kind == Kind.MARKDOWN
    assert shown.text.startswith("# Title")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b.txt", "a b.txt"),
        ("日本.txt", "日本.txt"),
        ("two\nlines", r"two\nlines"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("bad\udcff", r"bad\xff"),
        ("\x1b[31mred", r"\x1b[31mred"),
    ],
)
def test_names_are_shown_without_harm(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert in_query(name).isascii()
