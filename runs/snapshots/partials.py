"""Large files that arrive piece by piece, and go on where they stopped."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from runs.snapshots.disk import hold, write_all
from runs.snapshots.errors import SnapshotError, full_disk_told
from runs.snapshots.store import Readable, Store

_BLOCK = 1024 * 1024


class OtherPlaceError(Exception):
    """A piece does not begin where the last one ended, which is at `received`."""

    def __init__(self, received: int) -> None:
        super().__init__(f"{received} bytes have arrived.")
        self.received = received


class Partials:
    """What has arrived of objects so far, apart for each sender.

    Nobody can spoil what another sends; and one who sends the same from two windows
    at once goes on with what came through the other.
    """

    def __init__(self, store: Store, sender: str) -> None:
        self._store = store
        self._sender = sender

    def received(self, sha256: str, size: int) -> int:
        """How many bytes of an object of `size` are here."""
        if self._store.has(sha256, size):
            return size
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def add(self, sha256: str, size: int, offset: int, piece: Readable) -> int:
        """Add a piece; how many bytes are here now. With the last one, it is an object.

        Raises OtherPlaceError, and SnapshotError where all that has come is not what
        its name says; then it is to be sent anew.
        """
        if self._store.has(sha256, size):
            return size
        path = self._path(sha256)
        with full_disk_told(), _held(path) as file:
            status = os.fstat(file.fileno())
            if not _is_at(path, status):
                # It became an object while this waited for its turn.
                raise OtherPlaceError(self.received(sha256, size))
            if status.st_size != offset:
                raise OtherPlaceError(status.st_size)
            received = offset + _append(file, piece, size - offset)
            if received == size:
                self._store.adopt(path, sha256)
        return received

    def _path(self, sha256: str) -> Path:
        return self._store.new_folder / f"{self._sender}-{sha256}"


@contextmanager
def _held(path: Path) -> Iterator[io.FileIO]:
    """The file at `path`, to which nobody else adds meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with io.FileIO(path, "ab+", opener=partial(os.open, mode=0o600)) as file:
        hold(file.fileno())
        yield file


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False


def _append(file: io.FileIO, piece: Readable, room: int) -> int:
    """Write a piece whole, or nothing of it; its size."""
    start = file.seek(0, os.SEEK_END)
    size = 0
    try:
        while block := piece.read(_BLOCK):
            size += len(block)
            if size > room:
                raise SnapshotError(
                    "More has come of a file than it should have.",
                    "Choose the source once more.",
                )
            write_all(file, block)
    except BaseException:
        file.truncate(start)
        raise
    return size
