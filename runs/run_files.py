"""The files that pages list: those that a run wrote, and those of a snapshot."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from django.http import Http404
from django.urls import reverse

from runs.file_tree import File
from runs.mirror import output_files, output_path
from runs.models import Run, Snapshot
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
