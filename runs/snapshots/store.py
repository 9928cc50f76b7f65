"""The store of file contents, each under the SHA-256 of its bytes."""

import hashlib
import io
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

from runs.snapshots.disk import flush, hold, is_held, write_all
from runs.snapshots.errors import SnapshotError, TooLargeError, full_disk_told
from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.names import show

_BLOCK = 1024 * 1024
_A_DAY = 24 * 60 * 60
# An object is called by its hash; two digits of it name the folder.
_REST_OF_NAME = 62


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Kept(NamedTuple):
    """A content in the store, and whether it is there for the first time."""

    sha256: str
    size: int
    is_new: bool


class Store:
    """Objects in one folder; an object is there whole or not at all.

    Written under a temporary name and then renamed, so any number of writers may put
    the same object at once, and may be killed. What was swept aside (sweep.py) is put
    back by whoever asks for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What is being written, or was found damaged; it may stay there for a while.
        self.new_folder = folder / "new"
        # What the files of folders hashed to: see stat_cache.py.
        self.seen_folder = folder / "seen"
        # What nothing names, before it is removed.
        self.swept_folder = folder / "swept"

    def put(self, stream: Readable, *, limit: int | None = None) -> Kept:
        """Keep all that `stream` holds.

        Raises TooLargeError past `limit` bytes, and SnapshotError if the disk is full.
        """
        blocks = _blocks(stream, limit)
        first, second = next(blocks, b""), next(blocks, b"")
        # Most files are small, and most are here already: then nothing is written.
        if not second:
            sha256 = hashlib.sha256(first).hexdigest()
            if self.has(sha256, len(first)):
                return Kept(sha256, len(first), is_new=False)
            self._write_small(sha256, first)
            return Kept(sha256, len(first), is_new=True)
        with full_disk_told():
            return self._write(chain((first, second), blocks))

    def put_as(self, sha256: str, stream: Readable, size: int) -> None:
        """Keep what is said to have this hash and size; else raises SnapshotError."""
        if self.has(sha256, size):
            return
        with full_disk_told():
            fresh = self._fresh()
            try:
                if _fill(fresh, _blocks(stream, size)) != (sha256, size):
                    raise something_else()
                _move(fresh, self._place(sha256))
            finally:
                _remove(fresh)

    def adopt(self, path: Path, sha256: str) -> None:
        """Make the file at `path` an object. Raises SnapshotError if it is not that,
        and removes it.
        """
        with path.open("rb", buffering=0) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                path.unlink()
                raise something_else()
        _move(str(path), self._place(sha256))

    def lacking(self, manifest: Manifest) -> list[Entry]:
        """The files whose content is not here, one for each content.

        Raises SnapshotError for a file that is here, and has another size.
        """
        files = {entry.sha256: entry for entry in manifest.files}
        return [entry for entry in files.values() if not self._holds(entry)]

    def path(self, sha256: str) -> Path:
        """Where an object is, if it is there: see `open` and `size`."""
        return self._folder / sha256[:2] / sha256[2:]

    def open(self, sha256: str) -> io.FileIO:
        """An object as it is now. Raises SnapshotError if there is none."""
        with suppress(FileNotFoundError):
            return self.path(sha256).open("rb", buffering=0)
        self.put_back(sha256)
        try:
            return self.path(sha256).open("rb", buffering=0)
        except FileNotFoundError as error:
            raise damaged_store() from error

    def open_whole(self, sha256: str) -> io.FileIO:
        """An object of which each byte was found to be right. Raises SnapshotError.

        A damaged one is set aside, so that whoever sends the content again mends the
        store.
        """
        file = self.open(sha256)
        try:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                self._set_aside(sha256, file)
                raise damaged_store()
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def put_manifest(self, manifest: Manifest) -> str:
        """Keep what names the objects; all of them outlast a power cut then."""
        kept = self.put(io.BytesIO(manifest.to_json()))
        with full_disk_told():
            flush(self._folder)
        return kept.sha256

    def read_manifest(self, identity: str) -> Manifest:
        """Raises SnapshotError if it is not there as it was kept."""
        with self.open_whole(identity) as file:
            return Manifest.from_json(file.read())

    def tidy(self) -> None:
        """Remove what is left of writers who were killed."""
        with suppress(FileNotFoundError):
            for path in list(self.new_folder.iterdir()):
                if _is_abandoned(path):
                    path.unlink(missing_ok=True)

    def has(self, sha256: str, size: int) -> bool:
        """Whether an object is there; one that a power cut left empty is not."""
        return self.size(sha256) == size

    def size(self, sha256: str) -> int | None:
        """How many bytes an object has; None if there is none."""
        path = self._place(sha256)
        try:
            return os.stat(path).st_size  # noqa: PTH116
        except FileNotFoundError:
            self.put_back(sha256)
        try:
            return os.stat(path).st_size  # noqa: PTH116
        except FileNotFoundError:
            return None

    def objects(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """The objects, with their SHA-256."""
        return _objects_in(self._folder)

    def swept(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """The objects that were swept aside, with their SHA-256."""
        return _objects_in(self.swept_folder)

    def sweep_aside(self, sha256: str) -> None:
        """Take an object away until somebody asks for it; its time tells since when."""
        path = self.path(sha256)
        to = self.swept_folder / sha256[:2] / sha256[2:]
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            # Before it moves, or it would seem to be away for long if this is killed.
            os.utime(path)
            path.rename(to)

    def put_back(self, sha256: str) -> None:
        """Put back what was swept aside, unless it was not, or another was quicker."""
        # Asked for each file that is new, so without making a Path.
        name = f"{sha256[:2]}/{sha256[2:]}"
        with suppress(FileNotFoundError):
            os.rename(f"{self.swept_folder}/{name}", f"{self._folder}/{name}")  # noqa: PTH104

    def _holds(self, entry: Entry) -> bool:
        size = self.size(entry.sha256)
        if size is None or size == entry.size:
            return size is not None
        # One of the two is wrong.
        try:
            self.open_whole(entry.sha256).close()
        except SnapshotError:
            return False
        raise wrong_size(entry)

    def _write(self, blocks: Iterable[bytes]) -> Kept:
        fresh = self._fresh()
        try:
            sha256, size = _fill(fresh, blocks)
            if not self.has(sha256, size):
                _move(fresh, self._place(sha256))
                return Kept(sha256, size, is_new=True)
        except BaseException:
            _remove(fresh)
            raise
        _remove(fresh)
        return Kept(sha256, size, is_new=False)

    def _write_small(self, sha256: str, data: bytes) -> None:
        """Keep what is in memory already, and not in the store."""
        fresh = self._fresh()
        with full_disk_told():
            try:
                with _created(fresh) as file:
                    write_all(file, data)
                _move(fresh, self._place(sha256))
            except BaseException:
                _remove(fresh)
                raise

    # Strings, since these are asked for each file of a folder, and a Path takes as long
    # to make as the system takes to do something with it.

    def _place(self, sha256: str) -> str:
        return f"{self._folder}/{sha256[:2]}/{sha256[2:]}"

    def _fresh(self) -> str:
        """A path for what is no object; in a day, `tidy` takes it away."""
        return f"{self.new_folder}/{uuid.uuid4().hex}"

    def _set_aside(self, sha256: str, file: io.FileIO) -> None:
        path = self.path(sha256)
        with suppress(FileNotFoundError):
            # Another may have mended it meanwhile.
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                _move(str(path), self._fresh())


def damaged_store() -> SnapshotError:
    return SnapshotError(
        "A file of this snapshot is missing in the portal's store, or it is damaged.",
        "Submit the run again from the source.",
    )


def something_else() -> SnapshotError:
    return SnapshotError(
        "A file is not what it was said to be: it was changed before it was sent.",
        "Choose the source once more.",
    )


def wrong_size(entry: Entry) -> SnapshotError:
    return SnapshotError(
        f"“{show(entry.path)}” has another size than {entry.size:,} bytes.",
        "Choose the source once more.",
    )


def _blocks(stream: Readable, limit: int | None) -> Iterator[bytes]:
    size = 0
    while block := stream.read(_BLOCK):
        size += len(block)
        if limit is not None and size > limit:
            raise TooLargeError("The source is larger than it may be.")
        yield block


def _fill(path: str, blocks: Iterable[bytes]) -> tuple[str, int]:
    """Write a new file; its SHA-256 and size."""
    sha256, size = hashlib.sha256(), 0
    with _created(path) as file:
        for block in blocks:
            sha256.update(block)
            size += len(block)
            write_all(file, block)
    return sha256.hexdigest(), size


def _created(path: str) -> io.FileIO:
    """A new file, which is held until it is closed."""
    try:
        file = io.FileIO(path, "x", opener=_open_private)
    except FileNotFoundError:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = io.FileIO(path, "x", opener=_open_private)
    hold(file.fileno())
    return file


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _move(path: str, to: str) -> None:
    # Nearly always, the folder is there.
    with suppress(FileNotFoundError):
        os.rename(path, to)  # noqa: PTH104
        return
    Path(to).parent.mkdir(mode=0o700, exist_ok=True)
    os.rename(path, to)  # noqa: PTH104


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108


def _objects_in(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    for start in (f"{number:02x}" for number in range(256)):
        # All at once, since some are taken away and come back meanwhile.
        entries: list[os.DirEntry[str]] = []
        with suppress(FileNotFoundError), os.scandir(folder / start) as found:
            entries = list(found)
        for entry in entries:
            # Network file systems put names of their own beside the others.
            if len(entry.name) == _REST_OF_NAME:
                yield start + entry.name, entry


def _is_abandoned(path: Path) -> bool:
    """Whether nobody writes it; its age alone does not tell, as clocks may jump."""
    try:
        return path.stat().st_mtime < time.time() - _A_DAY and not is_held(path)
    except FileNotFoundError:
        return False
