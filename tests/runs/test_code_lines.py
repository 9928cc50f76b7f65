"""Lines with their numbers, and the lines that an address names."""

import re

import pytest

from runs.code_lines import BLOCK, NO_LINES, Selected, code_lines, selected_in
from runs.highlight import lines


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("12", Selected(first=12, last=12)),
        ("12-20", Selected(first=12, last=20)),
        ("20-12", Selected(first=12, last=20)),
        ("999999999", Selected(first=999_999_999, last=999_999_999)),
        ("", NO_LINES),
        ("0", NO_LINES),
        ("-3", NO_LINES),
        ("12-", NO_LINES),
        ("1-2-3", NO_LINES),
        ("１２", NO_LINES),  # noqa: RUF001
        ("9" * 5000, NO_LINES),
        ("<script>", NO_LINES),
    ],
)
def test_an_address_names_a_line_or_a_range(text: str, selected: Selected) -> None:
    assert selected_in(text) == selected
    assert bool(selected) == (selected != NO_LINES)


def test_each_number_links_to_its_line_and_one_is_reached_with_tab() -> None:
    rows = code_lines(lines("a.txt", "<b>\nx\ny"), name="outputs", selected=NO_LINES)
    assert rows.count("<span><a ") == 3
    assert (
        '<a name="outputs-2" href="#outputs-2" data-n="2" tabindex="-1"></a>x\n' in rows
    )
    assert "&lt;b&gt;\n" in rows
    assert re.findall(r'data-n="(\d+)" tabindex="0"', rows) == ["1"]
    assert "autofocus" not in rows


def test_linked_lines_are_marked_and_the_first_has_the_focus() -> None:
    text = "\n".join("abcdef")
    selected = Selected(first=3, last=4)
    rows = code_lines(lines("a.txt", text), name="outputs", selected=selected)
    assert re.findall(r'aria-current="true"><a name="outputs-(\d+)', rows) == ["3", "4"]
    assert re.findall(r'data-n="(\d+)" tabindex="0" autofocus', rows) == ["3"]


@pytest.mark.parametrize("first", [4, 999_999_999])
def test_lines_beyond_the_last_mark_nothing(first: int) -> None:
    selected = Selected(first=first, last=first)
    rows = code_lines(lines("a.txt", "x\ny\nz"), name="snapshot", selected=selected)
    assert "aria-current" not in rows
    assert re.findall(r'data-n="(\d+)" tabindex="0"', rows) == ["1"]


def test_rows_stand_in_blocks() -> None:
    found = lines("a.txt", "x\n" * (BLOCK + 1))
    rows = code_lines(found, name="snapshot", selected=NO_LINES)
    blocks = [block for block in rows.split("</span></span>") if block]
    assert [block.count("<a ") for block in blocks] == [BLOCK, 1]
