"""The panel of a page with a tree of files and one of them beside it."""

import os
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.http import Http404, HttpRequest
from django.utils.safestring import SafeString

from runs.code_lines import NO_LINES, Selected, code_lines, selected_in
from runs.file_names import in_query, name_in, printable
from runs.file_tree import DEEPEST_DRAWN, File, Folder, tree
from runs.highlight import lines
from runs.pictures import is_bearable, picture_of
from runs.previews import (
    HEAD,
    Kind,
    Preview,
    can_render,
    most_read,
    preview,
)
from runs.run_files import Files


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an address asks for: a file, some of its lines, and how it is shown."""

    path: str = ""
    folder: str = ""
    selected: Selected = NO_LINES
    as_source: bool = False


def wanted_in(request: HttpRequest, key: str = "file") -> Wanted:
    """Only the source of a file has lines."""
    selected = selected_in(request.GET.get("line", ""))
    return Wanted(
        path=name_in(request, key),
        folder=name_in(request, "folder"),
        selected=selected,
        as_source=bool(selected) or request.GET.get("view") == "source",
    )


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A file in the preview pane.

    `page` is the query of the page that shows it; `raw` and `image` are "" unless the
    file is text or a picture.
    """

    file: File
    preview: Preview
    note: str
    folder: str
    page: str
    download: str
    raw: str
    image: str
    code: SafeString
    digits: int
    has_views: bool

    @property
    def is_rendered(self) -> bool:
        return self.preview.kind in (Kind.MARKDOWN, Kind.NOTEBOOK)

    @property
    def is_source(self) -> bool:
        return self.preview.kind == Kind.TEXT


def files_context(files: Files, wanted: Wanted) -> dict[str, Any]:
    """The tree, and the file that is wanted or the most telling one."""
    path = wanted.path
    found = files.files()
    by_path = {file.path: file for file in found}
    chosen = by_path.get(path) if path else files.most_telling(found)
    opened = path or wanted.folder or (chosen.path if chosen else "")
    return {
        "kind": files.kind,
        "root": _draw(found, opened),
        "shown": show(files, chosen, wanted) if chosen else None,
        "missing": printable(path) if path and chosen is None else "",
        "at": files.addresses,
    }


def show(files: Files, file: File, wanted: Wanted) -> Shown:
    with files.open(file.path) as content:
        head = content.read(most_read(file.path))
    shown = preview(file.path, head, file.size, as_source=wanted.as_source)
    url = f"{files.addresses.file}?name={in_query(file.path)}"
    is_text = shown.kind not in (Kind.IMAGE, Kind.NONE)
    found = lines(file.path, shown.text) if shown.kind == Kind.TEXT else []
    return Shown(
        file=file,
        preview=shown,
        note=" ".join(filter(None, [shown.note, _missing(wanted.selected, found)])),
        folder=printable(file.path.rpartition("/")[0]),
        page=f"?{files.addresses.page}file={file.query}",
        download=url,
        raw=f"{url}&as=raw" if is_text else "",
        image=f"{url}&as=image" if shown.kind == Kind.IMAGE else "",
        code=code_lines(found, name=files.kind, selected=wanted.selected),
        digits=len(str(len(found))),
        has_views=is_text and can_render(file.path),
    )


def image_of(files: Files, path: str) -> tuple[BinaryIO, str]:
    """The open file and its type; 404 unless it is a picture that a page may show."""
    file = files.open(path)
    picture = picture_of(file.read(HEAD))
    if picture is None or not is_bearable(picture, os.fstat(file.fileno()).st_size):
        file.close()
        raise Http404("The file is no picture that can be shown.")
    return file, picture.content_type


def _missing(selected: Selected, found: list[SafeString]) -> str:
    if not found or selected.first <= len(found):
        return ""
    return f"Line {selected.first:,} is beyond what is shown."


def _draw(files: list[File], opened: str) -> Folder:
    """The tree with the way to `opened`, or a deep part of it where that is too far."""
    parts = opened.split("/")
    root = "/".join(parts[: -DEEPEST_DRAWN // 2]) if len(parts) > DEEPEST_DRAWN else ""
    return tree(files, root=root, opened=opened)
