"""Files as pages show them: those that a run wrote, and those of a snapshot."""

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Protocol

from django.http import Http404
from django.urls import reverse

from runs.file_names import in_query, printable
from runs.file_tree import DEEPEST_DRAWN, File, Folder, tree
from runs.mirror import output_files, output_path
from runs.models import Run, Snapshot
from runs.pictures import picture_of
from runs.previews import HEAD, Kind, Preview, is_bearable, preview
from runs.snapshots import Manifest
from runs.storage import read_manifest, store

# A name that a person is likely to want to see first.
_TELLING = ("report.md", "readme.md", "metrics.json", "results.json")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the tree, a file and all of them are; `page` begins a query of the page."""

    tree: str
    file: str
    zip: str
    page: str


class Files(Protocol):
    """Files to be listed, opened and shown; `kind` names their part of the page."""

    kind: str

    @property
    def addresses(self) -> Addresses: ...

    def files(self) -> list[File]: ...

    def open(self, path: str) -> BinaryIO:
        """Raises Http404 for every path that is none of the files."""

    def most_telling(self, found: list[File]) -> File | None:
        """What to show first; None if nothing is sure."""


class Outputs:
    """What the script has written under outputs/ and logs/ so far."""

    kind = "outputs"

    def __init__(self, run: Run) -> None:
        self._run_id = run.run_id

    @property
    def addresses(self) -> Addresses:
        return _addresses("runs:outputs", self._run_id, page="tab=outputs&")

    def files(self) -> list[File]:
        return [
            File(path=f.name, size=f.size, version=f"{f.size}-{f.modified:%s%f}")
            for f in output_files(self._run_id)
        ]

    def open(self, path: str) -> BinaryIO:
        try:
            return output_path(self._run_id, path).open("rb")
        except (FileNotFoundError, ValueError, OSError) as error:
            raise Http404("The output is gone.") from error

    def most_telling(self, found: list[File]) -> File | None:
        return _named(found, *_TELLING)


class SnapshotFiles:
    """A source as it was submitted, on a page of its own or on that of a `run`."""

    kind = "snapshot"

    def __init__(self, snapshot: Snapshot, run: Run | None = None) -> None:
        self.manifest = read_manifest(snapshot)
        self._snapshot = snapshot
        self._run = run

    @property
    def addresses(self) -> Addresses:
        if self._run is None:
            return _addresses("runs:snapshot-page", self._snapshot.pk)
        return _addresses("runs:snapshot", self._run.run_id, page="tab=snapshot&")

    def files(self) -> list[File]:
        return files_of(self.manifest)

    def open(self, path: str) -> BinaryIO:
        entry = self.manifest.find(path)
        if entry is None:
            raise Http404("The snapshot has no such file.")
        return store().open(entry.sha256)

    def most_telling(self, found: list[File]) -> File | None:
        """The script of the run, or of the last that used the snapshot."""
        run = self._run or self._snapshot.runs.order_by("-id").first()
        by_path = {file.path: file for file in found}
        script = by_path.get(run.script) if run else None
        return script or _named(found, *_TELLING)


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


def files_context(files: Files, *, path: str, folder: str = "") -> dict[str, Any]:
    """The panel with the tree, and the file at `path`, or the most telling one."""
    found = files.files()
    by_path = {file.path: file for file in found}
    chosen = by_path.get(path) if path else files.most_telling(found)
    opened = path or folder or (chosen.path if chosen else "")
    return {
        "kind": files.kind,
        "root": draw(found, opened),
        "shown": show(files, chosen) if chosen else None,
        "missing": printable(path) if path and chosen is None else "",
        "at": files.addresses,
    }


def draw(files: list[File], opened: str) -> Folder:
    """The tree with the way to `opened`, or a deep part of it where that is too far."""
    parts = opened.split("/")
    root = "/".join(parts[: -DEEPEST_DRAWN // 2]) if len(parts) > DEEPEST_DRAWN else ""
    return tree(files, root=root, opened=opened)


def show(files: Files, file: File) -> Shown:
    with files.open(file.path) as content:
        shown = preview(file.path, content.read(HEAD), file.size)
    url = f"{files.addresses.file}?name={in_query(file.path)}"
    return Shown(
        file=file,
        preview=shown,
        folder=printable(file.path.rpartition("/")[0]),
        download=url,
        image=f"{url}&as=image" if shown.kind == Kind.IMAGE else "",
    )


def image_of(files: Files, path: str) -> tuple[BinaryIO, str]:
    """The open file and its type; 404 unless it is a picture that a page may show."""
    file = files.open(path)
    picture = picture_of(file.read(HEAD))
    if picture is None or not is_bearable(picture, os.fstat(file.fileno()).st_size):
        file.close()
        raise Http404("The file is no picture that can be shown.")
    return file, picture.content_type


def _addresses(names: str, key: str, page: str = "") -> Addresses:
    return Addresses(
        tree=reverse(f"{names}-tree", args=[key]),
        file=reverse(f"{names}-file", args=[key]),
        zip=reverse(f"{names}-zip", args=[key]),
        page=page,
    )


def _named(found: list[File], *names: str) -> File | None:
    by_name = {PurePosixPath(file.path).name.lower(): file for file in found}
    return next((by_name[name] for name in names if name in by_name), None)
