"""Manifests: what a snapshot holds, and the one gate for names from outside."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from aml_portal.errors import UserError

Kind = Literal["file", "link", "folder"]

_LONGEST_PART = 255
_LONGEST_PATH = 4096


class SnapshotError(UserError):
    """A source that can't become a snapshot, or a snapshot that can't be read."""


@dataclass(frozen=True, kw_only=True, order=True)
class Entry:
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
        parents = {parent for path in by_path for parent in _parents(path)}
        for parent in parents & by_path.keys():
            if by_path[parent].kind != "folder":
                raise SnapshotError(
                    f"“{parent}” is a file and a folder at once.", "Keep one of the two."
                )
        # A folder with something in it needs no entry of its own.
        return cls(tuple(sorted(by_path[path] for path in by_path.keys() - parents)))

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        return cls(tuple(Entry(**entry) for entry in json.loads(data)))

    def to_json(self) -> bytes:
        """The one spelling of this manifest, whose hash is its identity."""
        entries = [
            {name: value for name, value in vars(entry).items() if value}
            for entry in self.entries
        ]
        return json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()

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


def safe_path(name: str) -> str:
    """`name` as a path below the snapshot's top; SnapshotError for any other name."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    shown = name if len(name) <= 100 else f"{name[:97]}…"
    if name.startswith("/"):
        raise SnapshotError(f"“{shown}” is a path from the root.", _ADVICE)
    if ".." in parts:
        raise SnapshotError(f"“{shown}” leads out of the folder.", _ADVICE)
    if not parts or "\0" in name:
        raise SnapshotError(f"“{shown!r}” is no name for a file.", _ADVICE)
    path = "/".join(parts)
    try:
        too_long = max(len(part.encode()) for part in parts) > _LONGEST_PART
        too_long = too_long or len(path.encode()) > _LONGEST_PATH
    except UnicodeEncodeError as error:
        raise SnapshotError(f"“{shown!r}” is no text in UTF-8.", _ADVICE) from error
    if too_long:
        raise SnapshotError(f"“{shown}” is longer than a file name can be.", _ADVICE)
    return path


_ADVICE = "Rename it, or leave it out."


def safe_link(path: str, target: str) -> str:
    """The target of a link at `path`, if it stays inside the snapshot."""
    depth = path.count("/")
    for part in target.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            break
    if target.startswith("/") or depth < 0 or "\0" in target or not target:
        raise SnapshotError(
            f"The link “{path}” leads out of the folder.", "Replace it by what it names."
        )
    return target


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
