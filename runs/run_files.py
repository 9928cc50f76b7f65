"""The files of a run as its page shows them: those it wrote, and its snapshot."""

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Protocol

from django.http import Http404
from django.urls import reverse

from runs.file_names import in_query, printable
from runs.file_tree import DEEPEST_DRAWN, File, Folder, tree
from runs.mirror import output_files, output_path
from runs.models import Run
from runs.pictures import picture_of
from runs.previews import HEAD, Kind, Preview, is_bearable, preview
from runs.snapshots import Manifest
from runs.storage import read_manifest, store

# A name that a person is likely to want to see first.
_TELLING = ("report.md", "readme.md", "metrics.json", "results.json")


class RunFiles(Protocol):
    """Files to be listed, opened and shown; `kind` names the panel and the views."""

    kind: str
    run: Run

    def files(self) -> list[File]: ...

    def open(self, path: str) -> BinaryIO:
        """Raises Http404 for every path that is none of the files."""


class Outputs:
    """What the script has written under outputs/ and logs/ so far."""

    kind = "outputs"

    def __init__(self, run: Run) -> None:
        self.run = run

    def files(self) -> list[File]:
        return [
            File(path=f.name, size=f.size, version=f"{f.size}-{f.modified:%s%f}")
            for f in output_files(self.run.run_id)
        ]

    def open(self, path: str) -> BinaryIO:
        try:
            return output_path(self.run.run_id, path).open("rb")
        except (FileNotFoundError, ValueError, OSError) as error:
            raise Http404("The output is gone.") from error


class SnapshotFiles:
    """The source as it was submitted."""

    kind = "snapshot"

    def __init__(self, run: Run) -> None:
        self.run = run
        self.manifest = read_manifest(run.snapshot)

    def files(self) -> list[File]:
        return files_of(self.manifest)

    def open(self, path: str) -> BinaryIO:
        entry = self.manifest.find(path)
        if entry is None:
            raise Http404("The snapshot has no such file.")
        return store().open(entry.sha256)


def files_of(manifest: Manifest) -> list[File]:
    return [
        File(path=entry.path, size=entry.size, target=entry.target)
        for entry in manifest.entries
        if entry.kind != "folder"
    ]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A file in the preview pane."""

    file: File
    preview: Preview
    folder: str
    download: str
    image: str


def files_context(files: RunFiles, *, path: str, folder: str = "") -> dict[str, Any]:
    """The panel with the tree, and the file at `path`, or the most telling one."""
    found = files.files()
    by_path = {file.path: file for file in found}
    chosen = by_path.get(path) if path else _most_telling(files, found)
    opened = path or folder or (chosen.path if chosen else "")
    return {
        "kind": files.kind,
        "root": draw(found, opened),
        "shown": show(files, chosen) if chosen else None,
        "missing": printable(path) if path and chosen is None else "",
        "list_url": reverse(f"runs:{files.kind}", args=[files.run.run_id]),
        "file_url": _file_url(files),
        "zip_url": reverse(f"runs:{files.kind}-zip", args=[files.run.run_id]),
    }


def draw(files: list[File], opened: str) -> Folder:
    """The tree with the way to `opened`, or a deep part of it where that is too far."""
    parts = opened.split("/")
    root = "/".join(parts[: -DEEPEST_DRAWN // 2]) if len(parts) > DEEPEST_DRAWN else ""
    return tree(files, root=root, opened=opened)


def show(files: RunFiles, file: File) -> Shown:
    with files.open(file.path) as content:
        shown = preview(file.path, content.read(HEAD), file.size)
    url = f"{_file_url(files)}?name={in_query(file.path)}"
    return Shown(
        file=file,
        preview=shown,
        folder=printable(file.path.rpartition("/")[0]),
        download=url,
        image=f"{url}&as=image" if shown.kind == Kind.IMAGE else "",
    )


def image_of(files: RunFiles, path: str) -> tuple[BinaryIO, str]:
    """The open file and its type; 404 unless it is a picture that a page may show."""
    file = files.open(path)
    picture = picture_of(file.read(HEAD))
    if picture is None or not is_bearable(picture, os.fstat(file.fileno()).st_size):
        file.close()
        raise Http404("The file is no picture that can be shown.")
    return file, picture.content_type


def _file_url(files: RunFiles) -> str:
    name = {"outputs": "runs:output", "snapshot": "runs:snapshot-file"}[files.kind]
    return reverse(name, args=[files.run.run_id])


def _most_telling(files: RunFiles, found: list[File]) -> File | None:
    """The script of a snapshot, the summary among outputs; None if nothing is sure."""
    if files.kind == "snapshot":
        script = files.run.configuration.script
        return next((file for file in found if file.path == script), None)
    by_name = {PurePosixPath(file.path).name.lower(): file for file in found}
    return next((by_name[name] for name in _TELLING if name in by_name), None)
