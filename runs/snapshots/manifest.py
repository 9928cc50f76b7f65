"""Manifests: what a snapshot holds."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import msgspec

from runs.snapshots.errors import SnapshotError
from runs.snapshots.names import show

Kind = Literal["file", "link", "folder"]


class Entry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A file, a symbolic link that stays inside, or an empty folder.

    `path` is relative, with "/" between its parts. `sha256` is that of a file's bytes.
    """

    path: str
    kind: Kind = "file"
    size: int = 0
    executable: bool = False
    sha256: str = ""
    target: str = ""


@dataclass(frozen=True)
class Manifest:
    """The entries of a snapshot by path; equal folders have equal manifests."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Manifest":
        """Raises SnapshotError where entries contradict each other."""
        by_path = {entry.path: entry for entry in entries}
        ordered = sorted(by_path.values(), key=_below_follows)
        # A folder with something in it needs no entry of its own.
        parents = {
            entry.path
            for entry, following in pairwise(ordered)
            if following.path.startswith(f"{entry.path}/")
        }
        for path in parents:
            if by_path[path].kind != "folder":
                raise contradiction(path)
        return cls(tuple(by_path[path] for path in sorted(by_path.keys() - parents)))

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        return cls(msgspec.json.decode(data, type=tuple[Entry, ...]))

    def to_json(self) -> bytes:
        """The one spelling of this manifest, whose hash is its identity."""
        return msgspec.json.encode(self.entries)

    @cached_property
    def identity(self) -> str:
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == "file"]

    @property
    def file_count(self) -> int:
        return len(self.files)

    @property
    def folder_count(self) -> int:
        """How many folders it takes to hold the entries."""
        ordered = sorted(self.entries, key=_below_follows)
        paths = [entry.path.split("/")[:-1] for entry in ordered]
        empty = sum(entry.kind == "folder" for entry in ordered)
        return empty + sum(
            len(path) - _common(before, path) for before, path in pairwise([[], *paths])
        )

    @property
    def total_bytes(self) -> int:
        return sum(entry.size for entry in self.entries)

    def has_file(self, path: str) -> bool:
        return self.find(path) is not None

    def find(self, path: str) -> Entry | None:
        """The file at `path`; None if there is none."""
        return self._by_path.get(path)

    @cached_property
    def _by_path(self) -> dict[str, Entry]:
        return {entry.path: entry for entry in self.files}


def contradiction(path: str) -> SnapshotError:
    return SnapshotError(
        f"“{show(path)}” is a file and a folder at once.", "Keep one of the two."
    )


def _below_follows(entry: Entry) -> str:
    """Orders entries so that what is below one follows it at once."""
    return entry.path.replace("/", "\0")


def _common(one: list[str], other: list[str]) -> int:
    """How many parts are the same at the beginning of both."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
