"""The store of file contents, each under the SHA-256 of its bytes."""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from runs.snapshots.disk import flush
from runs.snapshots.errors import SnapshotError, TooLargeError, full_disk_told
from runs.snapshots.manifest import Manifest

_BLOCK = 1024 * 1024
_A_DAY = 24 * 60 * 60


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Store:
    """Objects in one folder; an object is there whole or not at all.

    Written under a temporary name and then renamed, so any number of writers may put
    the same object at once, and may be killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What is being written; whoever is killed leaves it there.
        self._new = folder / "new"

    def put(self, stream: Readable, *, limit: int | None = None) -> tuple[str, int]:
        """Keep all that `stream` holds; its SHA-256 and size.

        Raises TooLargeError past `limit` bytes, and SnapshotError if the disk is full.
        """
        blocks = _blocks(stream, limit)
        first, second = next(blocks, b""), next(blocks, b"")
        # Most files are small, and most are here already: then nothing is written.
        if not second:
            sha256 = hashlib.sha256(first).hexdigest()
            if self._has(sha256, len(first)):
                return sha256, len(first)
        with full_disk_told():
            return self._write(chain((first, second), blocks))

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:]

    def open(self, sha256: str) -> BinaryIO:
        """Raises SnapshotError if there is no such object."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError as error:
            raise damaged_store() from error

    def put_manifest(self, manifest: Manifest) -> str:
        """Keep what names the objects; all of them outlast a power cut then."""
        identity, _ = self.put(io.BytesIO(manifest.to_json()))
        flush(self._folder)
        return identity

    def read_manifest(self, identity: str) -> Manifest:
        with self.open(identity) as file:
            return Manifest.from_json(file.read())

    def tidy(self) -> None:
        """Remove what is left of writers who were killed."""
        with suppress(FileNotFoundError):
            for path in self._new.iterdir():
                if path.stat().st_mtime < time.time() - _A_DAY:
                    path.unlink()

    def _has(self, sha256: str, size: int) -> bool:
        """Whether an object is there; one that a power cut left empty is not."""
        try:
            return self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def _write(self, blocks: Iterable[bytes]) -> tuple[str, int]:
        sha256, size = hashlib.sha256(), 0
        with self._new_path() as fresh:
            with _create(fresh) as file:
                for block in blocks:
                    sha256.update(block)
                    size += file.write(block)
            digest = sha256.hexdigest()
            if not self._has(digest, size):
                path = self.path(digest)
                path.parent.mkdir(mode=0o700, exist_ok=True)
                fresh.rename(path)
        return digest, size

    @contextmanager
    def _new_path(self) -> Iterator[Path]:
        """A name to write under; it is gone at the end."""
        self._new.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._new / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def damaged_store() -> SnapshotError:
    return SnapshotError(
        "A file of this snapshot is missing in the portal's store, or it is damaged.",
        "Submit the run again from the source.",
    )


def _blocks(stream: Readable, limit: int | None) -> Iterator[bytes]:
    size = 0
    while block := stream.read(_BLOCK):
        size += len(block)
        if limit is not None and size > limit:
            raise TooLargeError("The source is larger than it may be.")
        yield block


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    return os.fdopen(os.open(path, flags, 0o600), "wb")
