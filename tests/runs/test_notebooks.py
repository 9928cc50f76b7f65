"""Reading notebooks that programs of all kinds wrote, and some that mean harm."""

import base64
import json
import struct
import time
import tracemalloc
from typing import Any

import pytest

from runs.notebook_outputs import MOST_OUTPUTS, MOST_TEXT, Output
from runs.notebooks import MOST_PARTS, Cell, NotebookError, read_notebook
from runs.previews import Kind, Preview, most_read, preview
from tests.runs.notebook import (
    BAR,
    code,
    markdown,
    notebook,
    pixels,
    realistic,
    result,
    stream,
)

_BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 90_000, 90_000)


def read(*cells: Any, language: str = "python") -> list[Cell]:
    return read_notebook(notebook(*cells, language=language)).cells


def output(**data: Any) -> Output:
    return read(code("x", result(**data)))[0].outputs[0]


def show(name: str, content: bytes, *, as_source: bool = False) -> Preview:
    head = content[: most_read(name)]
    return preview(name, head, len(content), as_source=as_source)


def test_a_real_notebook_is_read_whole() -> None:
    cells = read_notebook(realistic()).cells
    assert [cell.kind for cell in cells] == ["markdown", *["code"] * 6, "raw"]
    assert [cell.count for cell in cells] == ["", "1", "2", "3", "4", "", "6", ""]
    assert '<span class="hl-keyword">import </span>numpy' in cells[1].code
    assert "&lt;b&gt;" in cells[1].code
    stdout, stderr = cells[1].outputs
    assert stdout.text == "epoch 0: 1.000\nepoch 1: 0.500\n\x1b[32mdone\x1b[0m\n"
    assert stderr.text == "UserWarning: no GPU was found\n" + BAR
    assert "&#13;" in stderr.printed
    assert [each.kind for each in cells[2].outputs] == ["html"]
    assert cells[3].outputs[0].image == f"data:image/png;base64,{pixels()}"
    assert cells[4].outputs[0].kind == "error"
    assert "Expected 2D array" in cells[4].outputs[0].text
    assert [each.kind for each in cells[6].outputs] == ["html", "note"]
    assert "application/javascript" in cells[6].outputs[1].text


def test_the_third_format_is_read_as_well() -> None:
    content = {
        "nbformat": 3,
        "metadata": {},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["Title"]},
                    {
                        "cell_type": "code",
                        "input": ["import a\n", "a.b"],
                        "prompt_number": 7,
                        "language": "python",
                        "outputs": [
                            {"output_type": "pyout", "text": ["42"]},
                            {"output_type": "display_data", "png": pixels()},
                            {"output_type": "pyerr", "ename": "E", "evalue": "v"},
                            {"output_type": "stream", "stream": "stdout", "text": "s"},
                        ],
                    },
                ]
            }
        ],
    }
    title, cell = read_notebook(json.dumps(content).encode()).cells
    assert (title.kind, title.source) == ("markdown", "## Title")
    assert (cell.count, cell.source) == ("7", "import a\na.b")
    assert [each.kind for each in cell.outputs] == ["text", "image", "error", "stdout"]
    assert cell.outputs[2].text == "E: v"


def test_a_notebook_of_another_language_has_its_colours() -> None:
    assert "hl-" in read(code("x <- 1 # one"), language="R")[0].code
    assert read(code("<b>"), language="../../etc")[0].code == "&lt;b&gt;"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"cells": []}',
        b'{"nbformat": 2, "worksheets": []}',
        b'{"nbformat": "4", "cells": []}',
        b'{"nbformat": 4, "cells": [1]}',
        b'{"nbformat": 4, "cells": [{"cell_type": 1}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": {"a": 1}}]}',
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "outputs": ["x"]}]}',
        b'{"nbformat": 4, "cells": [], "metadata": {"a": NaN}}',
        b'{"nbformat": 4, "cells": [], "metadata": ' + b'{"a":' * 100_000,
        b'{"nbformat": 4, "cells": [{"cell_type": "\xff"}]}',
    ],
)
def test_what_only_claims_to_be_a_notebook_is_shown_as_text(content: bytes) -> None:
    with pytest.raises(NotebookError):
        read_notebook(content)
    if content:
        shown = show("a.ipynb", content)
        assert shown.kind == Kind.TEXT
        assert shown.note.startswith("The file is not a valid notebook")


@pytest.mark.parametrize(
    "strange",
    [
        {"cell_type": "code", "execution_count": 1e300, "outputs": [{}]},
        {"cell_type": "unheard of", "source": "x"},
        {"cell_type": "heading", "level": -5, "source": "x"},
        {"cell_type": "markdown", "attachments": {"a": {"image/png": 7}}},
        {"cell_type": "code", "outputs": [{"output_type": "unheard of"}]},
        code("x", result(image_png={"a": 1}, text_plain=["a", 1])),
        code("x", result(text_html=["<b>", None])),
        code("x", result()),
    ],
)
def test_strange_parts_are_borne(strange: Any) -> None:
    shown = read_notebook(notebook(strange))
    assert len(shown.cells) == 1
    assert not [each for each in shown.cells[0].outputs if each.image or each.html]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no base64!",
        base64.b64encode(_BOMB).decode(),
        base64.b64encode(b"<svg onload='alert(1)'/>").decode(),
        '"><script>alert(1)</script>',
    ],
)
def test_only_pixels_are_shown_as_a_picture(content: str) -> None:
    shown = output(image_png=content, text_plain="<Figure>")
    assert (shown.kind, shown.text) == ("text", "<Figure>")


def test_the_type_of_a_picture_is_told_by_its_bytes() -> None:
    lines = [f"{pixels()[:76]}\n", pixels()[76:]]
    assert output(image_jpeg=lines).image == f"data:image/png;base64,{pixels()}"


def test_a_drawing_with_scripts_is_not_shown() -> None:
    shown = output(**{"image_svg+xml": "<svg onload='alert(1)'/>"})
    assert shown.kind == "note"
    assert "image/svg+xml" in shown.text


def test_a_picture_that_came_with_its_cell_is_shown_once() -> None:
    cell = markdown("![a](attachment:a.png) attachment:a.png")
    cell["attachments"] = {"a.png": {"image/png": pixels()}}
    source = read(cell)[0].source
    assert source == f"![a](data:image/png;base64,{pixels()}) attachment:a.png"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("![](attachment:a%20b.png)", "a b.png"),
        ("![](attachment:a%20(1).png)", "a (1).png"),
        ('<img src="attachment:a.png">', "a.png"),
    ],
)
def test_an_attachment_is_named_as_in_an_address(text: str, name: str) -> None:
    cell = markdown(text)
    cell["attachments"] = {"a": {"image/png": pixels()}, name: {"image/png": pixels()}}
    assert f"data:image/png;base64,{pixels()}" in read(cell)[0].source
    assert "attachment:" not in read(cell)[0].source


def test_many_attachments_in_a_long_text_are_soon_looked_up() -> None:
    cell = markdown("attachment:(no attachment:a " * 40_000)
    cell["attachments"] = {f"{n}": {"image/png": "x"} for n in range(20_000)}
    begin = time.monotonic()
    assert read(cell)[0].source == "attachment:(no attachment:a " * 40_000
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize("place", ["metadata", "data", "attachments"])
def test_what_is_not_shown_takes_no_memory(place: str) -> None:
    numbers: list[list[int]] = [[]] * 1_000_000
    cell = code("x", result(application_json=numbers, text_plain="1"))
    cell = cell if place == "data" else markdown("a")
    cell["attachments"] = {"a": {"b": numbers}} if place == "attachments" else {}
    file = {"nbformat": 4, "cells": [cell]}
    file["metadata"] = {"language_info": {"a": numbers}} if place == "metadata" else {}
    content = json.dumps(file).encode()
    tracemalloc.start()
    try:
        assert len(read_notebook(content).cells) == 1
        assert tracemalloc.get_traced_memory()[1] < 2 * len(content)
    finally:
        tracemalloc.stop()


def test_what_is_long_is_cut_and_says_so() -> None:
    long = read(code("x", stream("x" * (MOST_TEXT + 1))))[0].outputs[0]
    assert len(long.text) == MOST_TEXT
    assert long.is_cut
    many = read(code("x", *[result(text_plain="1")] * (MOST_OUTPUTS + 2)))[0].outputs
    assert len(many) == MOST_OUTPUTS + 1
    assert many[-1].text == "2 more outputs are in the source."
    assert read_notebook(notebook(*[code("1")] * (MOST_PARTS + 3))).left_out == 3
    full = code("1", *[result(text_plain="1")] * (MOST_OUTPUTS * 9))
    shown = read_notebook(notebook(*[full] * 40))
    assert len(shown.cells) == MOST_PARTS // (MOST_OUTPUTS + 1)
    assert shown.left_out == 40 - len(shown.cells)
    assert output(text_html="<b>" * 400_000, text_plain="short").kind == "text"


def test_a_notebook_has_a_source_too() -> None:
    shown = show("a.ipynb", realistic(), as_source=True)
    assert shown.kind == Kind.TEXT
    assert '"nbformat": 4' in shown.text
    assert show("a.md", b"# T", as_source=True).kind == Kind.TEXT


def test_a_mark_of_the_byte_order_is_borne() -> None:
    assert show("a.ipynb", b"\xef\xbb\xbf" + realistic()).kind == Kind.NOTEBOOK


def test_a_notebook_with_large_pictures_is_rendered() -> None:
    large = notebook(code("x", result(image_png=pixels(), text_plain="x" * 2_000_000)))
    assert show("a.ipynb", large).kind == Kind.NOTEBOOK


def test_a_notebook_beyond_measure_is_shown_as_text() -> None:
    shown = show("a.ipynb", notebook(code("x", stream("x" * most_read("a.ipynb")))))
    assert shown.kind == Kind.TEXT
    assert "too large to be rendered" in shown.note
    assert "Only the first 1 MiB" in shown.note
