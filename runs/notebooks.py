"""Jupyter notebooks (nbformat 3 and 4) as pages show them: nothing in them is run."""

import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

import msgspec
from django.utils.safestring import SafeString, mark_safe

from runs.highlight import languages, snippets
from runs.notebook_outputs import (
    MOST_OUTPUTS,
    Output,
    RawOutput,
    Text,
    joined,
    outputs_of,
    picture_in,
    texts_in,
)

# Cells and outputs together.
MOST_PARTS = 3000
# A name in an address may have brackets, if they are pairs.
_ATTACHED = re.compile(r"attachment:((?:[^\s()<>\"]|\([^\s()<>\"]*\))+)")


class NotebookError(ValueError):
    """The file is no notebook of a format that is known."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`code` is the source in colours; `count` is "" for what was not executed."""

    kind: Literal["code", "markdown", "raw"]
    source: str
    code: SafeString
    count: str
    outputs: list[Output]


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """`left_out` is how many cells there are beyond those shown."""

    cells: list[Cell] = field(default_factory=list)
    left_out: int = 0


class _Cell(msgspec.Struct):
    """As it is in the file; nbformat 3 has other names for some."""

    cell_type: str
    source: Text = ""
    execution_count: float | None = None
    outputs: list[RawOutput] = []
    attachments: dict[str, dict[str, msgspec.Raw]] = {}
    input: Text = ""
    prompt_number: float | None = None
    level: int = 1

    @property
    def text(self) -> str:
        return joined(self.source or self.input)

    @property
    def count(self) -> str:
        count = self.execution_count or self.prompt_number
        return "" if count is None else f"{count:.0f}"


class _Worksheet(msgspec.Struct):
    cells: list[_Cell] = []


class _Named(msgspec.Struct):
    """A language or a kernel."""

    name: str = ""
    language: str = ""


class _Metadata(msgspec.Struct):
    language_info: msgspec.Raw = msgspec.Raw(b"{}")
    kernelspec: msgspec.Raw = msgspec.Raw(b"{}")


class _File(msgspec.Struct):
    nbformat: int
    cells: list[_Cell] = []
    worksheets: list[_Worksheet] = []
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


def read_notebook(content: bytes) -> Notebook:
    """Raises NotebookError."""
    try:
        file = msgspec.json.decode(content.removeprefix(BOM_UTF8), type=_File)
    except (ValueError, RecursionError) as error:
        raise NotebookError(str(error)) from error
    if file.nbformat not in (3, 4):
        raise NotebookError(f"nbformat {file.nbformat}")
    found = [*file.cells, *(cell for sheet in file.worksheets for cell in sheet.cells)]
    shown = _bearable(found)
    sources = [cell.text if cell.cell_type == "code" else "" for cell in shown]
    codes = snippets(_language(file.metadata), sources)
    return Notebook(
        cells=[_cell(cell, code) for cell, code in zip(shown, codes, strict=True)],
        left_out=len(found) - len(shown),
    )


def _bearable(cells: list[_Cell]) -> list[_Cell]:
    """The first cells: as many as a page can have, with their outputs."""
    room = MOST_PARTS
    for number, cell in enumerate(cells):
        room -= 1 + min(len(cell.outputs), MOST_OUTPUTS)
        if room < 0:
            return cells[:number]
    return cells


def _language(metadata: _Metadata) -> str:
    """A notebook that does not say is one of Python."""
    said = _named(metadata.language_info).name or _named(metadata.kernelspec).language
    known = {"": "python", "ipython": "python"}.get(said.lower(), said.lower())
    return known if known in languages() else ""


def _named(raw: msgspec.Raw) -> _Named:
    try:
        return msgspec.json.decode(raw, type=_Named)
    except ValueError:
        return _Named()


def _cell(cell: _Cell, code: list[SafeString]) -> Cell:
    kind, source = _kind_and_source(cell)
    return Cell(
        kind=kind,
        source=source,
        code=mark_safe("\n".join(code)),  # noqa: S308
        count=cell.count,
        outputs=outputs_of(cell.outputs),
    )


def _kind_and_source(cell: _Cell) -> tuple[Literal["code", "markdown", "raw"], str]:
    match cell.cell_type:
        case "code":
            return "code", cell.text
        case "markdown":
            return "markdown", _with_attachments(cell)
        case "heading":
            return "markdown", f"{'#' * min(max(cell.level, 1), 6)} {cell.text}"
    return "raw", cell.text


def _with_attachments(cell: _Cell) -> str:
    """Each picture that came with the cell in its place, which is the first."""
    left = dict(cell.attachments)

    def address(found: re.Match[str]) -> str:
        return picture_in(texts_in(left.pop(unquote(found[1]), {}))) or found[0]

    return _ATTACHED.sub(address, cell.text)
