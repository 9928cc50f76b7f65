"""What a page shows of a file: its text, a table, an image, or that it can't.

The contents are hostile: a kind is told by looking at the bytes, only pictures made of
pixels are shown as pictures, and nothing is read or parsed beyond a limit.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from pathlib import PurePosixPath

from runs.notebooks import Notebook, NotebookError, read_notebook
from runs.pictures import Picture, is_bearable, picture_of

# How much of a file is read to show it.
HEAD = 1024 * 1024
MOST_LINES = 20_000
MOST_ROWS = 1000
MOST_COLUMNS = 100
_LONGEST_CELL = 500
_LONGEST_JSON = 4 * HEAD
_LARGEST_NOTEBOOK = 16 * HEAD
_MARKDOWN = (".md", ".markdown")
_REST = "Download the file to see all of it."


class Kind(StrEnum):
    """Each has a part in templates/runs/_preview.html."""

    TEXT = "text"
    MARKDOWN = "markdown"
    NOTEBOOK = "notebook"
    TABLE = "table"
    IMAGE = "image"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Table:
    """`header` is empty where the first row holds numbers, as the others do."""

    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """`note` is a sentence about what is not shown, or not as it is in the file."""

    kind: Kind
    text: str = ""
    table: Table = field(default_factory=lambda: Table(header=[], rows=[]))
    notebook: Notebook = field(default_factory=lambda: Notebook(cells=[]))
    note: str = ""


def most_read(name: str) -> int:
    """How much of a file is wanted to show it. Notebooks hold their pictures."""
    return _LARGEST_NOTEBOOK if _suffix(name) == ".ipynb" else HEAD


def can_render(name: str) -> bool:
    """Whether the file looks like more than its source."""
    return _suffix(name) in (*_MARKDOWN, ".ipynb")


def preview(name: str, head: bytes, size: int, *, as_source: bool = False) -> Preview:
    """Show a file of `size` bytes that begins with `head`, `most_read` of them."""
    if size == 0:
        return Preview(kind=Kind.NONE, note="The file is empty.")
    if picture := picture_of(head):
        return _image(picture, size)
    if _is_binary(head):
        note = "The file is not text. Download it to look into it."
        return Preview(kind=Kind.NONE, note=note)
    if as_source or not can_render(name):
        return _source(name, head, size)
    if _suffix(name) in _MARKDOWN:
        return replace(_source(name, head, size), kind=Kind.MARKDOWN)
    return _notebook(name, head, size)


def _source(name: str, head: bytes, size: int) -> Preview:
    text = head[:HEAD].decode("utf-8-sig", errors="replace")
    show = _BY_SUFFIX.get(_suffix(name), _text)
    return show(text, size > HEAD)


def _notebook(name: str, head: bytes, size: int) -> Preview:
    if size > len(head):
        note = "The notebook is too large to be rendered; this is its source."
    else:
        try:
            return Preview(kind=Kind.NOTEBOOK, notebook=read_notebook(head))
        except NotebookError:
            note = "The file is not a valid notebook; this is its text."
    source = _source(name, head, size)
    return replace(source, note=" ".join(filter(None, [note, source.note])))


def _image(picture: Picture, size: int) -> Preview:
    if not is_bearable(picture, size):
        note = (
            f"The image has {picture.width:,} by {picture.height:,} pixels in"
            f" {size:,} bytes, too much to show. Download it to look at it."
        )
        return Preview(kind=Kind.NONE, note=note)
    return Preview(kind=Kind.IMAGE)


def _is_binary(head: bytes) -> bool:
    start = head[:8192]
    if b"\0" in start:
        return True
    lost = start.decode("utf-8", errors="replace").count("\ufffd")
    return lost > len(start) / 10 + 3


def _text(text: str, is_cut: bool) -> Preview:  # noqa: FBT001
    """As many lines as a page can bear: a file of line ends would have a million."""
    lines = text.split("\n", MOST_LINES)
    if len(lines) > MOST_LINES and lines[-1]:
        note = f"Only the first {MOST_LINES:,} lines are shown. {_REST}"
        return Preview(kind=Kind.TEXT, text="\n".join(lines[:-1]) + "\n", note=note)
    note = f"Only the first 1 MiB is shown. {_REST}" if is_cut else ""
    return Preview(kind=Kind.TEXT, text=text, note=note)


def _json(text: str, is_cut: bool) -> Preview:  # noqa: FBT001
    if is_cut:
        return _text(text, is_cut)
    try:
        pretty = _laid_out(text)
    except (ValueError, RecursionError):
        note = "The file is not valid JSON; this is its text."
        return replace(_text(text, is_cut), note=note)
    return _text(pretty or text, is_cut)


def _laid_out(text: str) -> str:
    """The JSON with line breaks; "" where its depth would make that far too long."""
    pieces, length = [], 0
    encoder = json.JSONEncoder(indent=2, ensure_ascii=False)
    for piece in encoder.iterencode(json.loads(text)):
        pieces.append(piece)
        length += len(piece)
        if length > _LONGEST_JSON:
            return ""
    pretty = "".join(pieces)
    pretty.encode()  # Half of a surrogate pair can't be sent.
    return pretty


def _csv(text: str, is_cut: bool) -> Preview:  # noqa: FBT001
    return _table(text, is_cut, _likely_delimiter(text))


def _tsv(text: str, is_cut: bool) -> Preview:  # noqa: FBT001
    return _table(text, is_cut, "\t")


def _table(text: str, is_cut: bool, delimiter: str) -> Preview:  # noqa: FBT001
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in islice(reader, MOST_ROWS + 2) if row]
    except csv.Error:
        return _text(text, is_cut)
    # The header, if there is one, is not counted as a row; the last row of a part of a
    # file may be a part of a row.
    is_part = is_cut or len(rows) > MOST_ROWS + 1
    if is_part and len(rows) > 1:
        rows.pop()
    width = max((len(row) for row in rows), default=0)
    rows = [[cell[:_LONGEST_CELL] for cell in row[:MOST_COLUMNS]] for row in rows]
    header = rows.pop(0) if rows and not _is_numeric(rows[0]) else []
    rows = rows[:MOST_ROWS]
    return Preview(
        kind=Kind.TABLE,
        table=Table(header=header, rows=rows),
        note=_table_note(len(rows), width, is_part=is_part),
    )


def _table_note(rows: int, width: int, *, is_part: bool) -> str:
    shown = []
    if is_part:
        shown.append(f"{rows:,} rows")
    if width > MOST_COLUMNS:
        shown.append(f"{MOST_COLUMNS} of {width:,} columns")
    if not shown:
        return ""
    which = " and ".join(shown)
    return f"Only the first {which} are shown. {_REST}"


def _likely_delimiter(text: str) -> str:
    line = text.partition("\n")[0]
    return max(",;\t|", key=line.count)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _is_numeric(row: list[str]) -> bool:
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False


_BY_SUFFIX: dict[str, Callable[[str, bool], Preview]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".json": _json,
    ".ipynb": _json,
}
