"""Showing files whose names and contents nobody has vetted."""

import json

import pytest

from runs.file_names import in_query, printable
from runs.previews import (
    HEAD,
    MOST_COLUMNS,
    MOST_ROWS,
    Kind,
    Preview,
    image_type,
    preview,
)


def show(name: str, content: bytes, size: int | None = None) -> Preview:
    return preview(name, content[:HEAD], size or len(content))


def test_text_is_shown_as_it_is() -> None:
    shown = show("outputs/report.txt", b"<script>alert(1)</script>\nzwei\n")
    assert shown.kind == Kind.TEXT
    assert shown.text == "<script>alert(1)</script>\nzwei\n"
    assert shown.line_numbers == "1\n2"
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


def test_only_pixels_are_a_picture() -> None:
    assert image_type(b"\x89PNG\r\n\x1a\n....") == "image/png"
    assert image_type(b"RIFF....WEBPVP8 ") == "image/webp"
    assert image_type(b"<svg xmlns='http://www.w3.org/2000/svg'/>") == ""
    assert show("x.png", b"<svg onload=alert(1)>").kind == Kind.TEXT
    assert show("x.txt", b"\xff\xd8\xff\xe0JFIF").kind == Kind.IMAGE
    assert show("x.png", b"\xff\xd8\xff", 1 << 30).kind == Kind.NONE


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
