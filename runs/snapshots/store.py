"""The store of file contents, each under the SHA-256 of its bytes."""

import errno
import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from runs.snapshots.manifest import Manifest, SnapshotError

_BLOCK = 1024 * 1024


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Store:
    """Objects in one folder; an object is there whole or not at all.

    Written under a temporary name and then renamed, so any number of writers may put
    the same object at once, and may be killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, stream: Readable, *, limit: int | None = None) -> tuple[str, int]:
        """Keep all that `stream` holds; its SHA-256 and size.

        Raises TooLargeError past `limit` bytes, and SnapshotError if the disk is full.
        """
        sha256, size = hashlib.sha256(), 0
        with _told_if_full(), self._new_file() as file:
            while block := stream.read(_BLOCK):
                size += len(block)
                if limit is not None and size > limit:
                    raise TooLargeError("The source is larger than it may be.")
                sha256.update(block)
                file.write(block)
            file.flush()
            path = self.path(sha256.hexdigest())
            if not path.exists():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                Path(file.name).rename(path)
        return sha256.hexdigest(), size

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:]

    def open(self, sha256: str) -> BinaryIO:
        """Raises FileNotFoundError if there is no such object."""
        return self.path(sha256).open("rb")

    def put_manifest(self, manifest: Manifest) -> str:
        digest, _ = self.put(io.BytesIO(manifest.to_json()))
        return digest

    def read_manifest(self, identity: str) -> Manifest:
        return Manifest.from_json(self.path(identity).read_bytes())

    @contextmanager
    def _new_file(self) -> Iterator["tempfile._TemporaryFileWrapper[bytes]"]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its name is removed at the end by whoever did not rename it.
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115
            dir=self._folder, prefix="new-", delete=False
        )
        try:
            yield file
        finally:
            file.close()
            Path(file.name).unlink(missing_ok=True)


class TooLargeError(SnapshotError):
    """More bytes than allowed; whoever knows the whole says so in its own words."""


@contextmanager
def _told_if_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SnapshotError(
                "The disk of the portal is full.",
                "Ask an administrator to free some space, then try again.",
            ) from error
        raise
