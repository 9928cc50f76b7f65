"""Reads folders of this machine."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from runs.snapshots.collector import Collector, no_file
from runs.snapshots.errors import SnapshotError
from runs.snapshots.ignore import LARGEST_FILE
from runs.snapshots.names import show
from runs.snapshots.stat_cache import Found, StatCache
from runs.snapshots.store import Kept, Store

# The last is what is said of a link that has become something else.
_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A file that is written to again and again is given up after so many readings.
_READINGS = 3
# To hash and write so much leaves Python to others for most of the time.
_LARGE = 4 * 1024 * 1024


def stat_cache_of(folder: Path, store: Store) -> StatCache:
    """What the store remembers of `folder`, by its real path."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return StatCache(store.seen_folder / name)


class _Reading(NamedTuple):
    """A file as it was when it was read, and its content."""

    status: os.stat_result
    kept: Kept
    secret: str


class FolderReader:
    """Reads all below a folder, and follows no link, whoever puts one where.

    Folders are opened name by name below the top, so that nobody who may write in one
    of them can lead the reader elsewhere meanwhile. One large file at a time is read
    beside the others.
    """

    def __init__(
        self, folder: Path, store: Store, collector: Collector, cache: StatCache
    ) -> None:
        self._folder = folder.resolve()
        self._store = store
        self._collector = collector
        self._cache = cache
        self._top = -1
        self._beside: tuple[str, Future[_Reading]] | None = None

    def read(self) -> None:
        with _told(str(self._folder)):
            self._top = os.open(self._folder, _FOLDER)
        try:
            if os.readlink(f"/proc/self/fd/{self._top}") != str(self._folder):  # noqa: PTH115
                raise _changed(str(self._folder))
            # No recursion: folders can be deeper than Python's stack.
            waiting = [""]
            with ThreadPoolExecutor(max_workers=1) as self._pool:
                while waiting:
                    waiting += self._read_folder(waiting.pop())
                self._add_beside()
        finally:
            os.close(self._top)

    def _read_folder(self, path: str) -> list[str]:
        """Read what is in the folder `path`; the folders in it."""
        folders = []
        prefix = f"{path}/" if path else ""
        with self._opened_folder(path) as descriptor:
            with _told(path), os.scandir(descriptor) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            if path and not entries:
                self._collector.add_folder(path)
            self._add_rules(path, entries, descriptor)
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                below = self._collector.wanted(prefix + entry.name, is_folder=is_folder)
                if below is None:
                    continue
                if is_folder:
                    folders.append(below)
                else:
                    self._read_entry(entry, below, descriptor)
        return folders

    @contextmanager
    def _opened_folder(self, path: str) -> Iterator[int]:
        descriptor = os.dup(self._top)
        try:
            for name in path.split("/") if path else ():
                with _told(path):
                    below = os.open(name, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def _add_rules(
        self, path: str, entries: list[os.DirEntry[str]], folder: int
    ) -> None:
        files = {e.name for e in entries if e.is_file(follow_symlinks=False)}
        rules = self._collector.rules
        if name := rules.file_in(path, files):
            with _told(name), _opened(name, folder) as file:
                rules.add(path, name, file.read(LARGEST_FILE + 1))

    def _read_entry(self, entry: os.DirEntry[str], path: str, folder: int) -> None:
        if entry.is_symlink():
            with _told(path):
                target = os.readlink(entry.name, dir_fd=folder)
            self._collector.add_link(path, target)
        elif entry.is_file(follow_symlinks=False):
            with _told(path):
                status = entry.stat(follow_symlinks=False)
            if self._add_known(path, status):
                return
            if status.st_size >= _LARGE and self._is_free():
                self._read_beside(entry.name, path, folder)
            else:
                self._add(path, self._read_file(entry.name, path, folder))
        else:
            raise no_file(path)

    def _add_known(self, path: str, status: os.stat_result) -> bool:
        """Add a file that is as it was when it was read last."""
        found = self._cache.known(path, status)
        if found is None or not self._store.has(found.sha256, status.st_size):
            return False
        executable = bool(status.st_mode & 0o100)
        self._collector.add_known(
            path, found.sha256, size=status.st_size, executable=executable
        )
        self._collector.tell_secret(path, found.secret)
        return True

    def _is_free(self) -> bool:
        """Whether no file is read beside the others, or not any more."""
        return self._beside is None or self._beside[1].done()

    def _read_beside(self, name: str, path: str, folder: int) -> None:
        self._add_beside()
        own = os.dup(folder)

        def work() -> _Reading:
            try:
                return self._read_file(name, path, own)
            finally:
                os.close(own)

        self._beside = path, self._pool.submit(work)

    def _add_beside(self) -> None:
        if self._beside is not None:
            path, future = self._beside
            self._beside = None
            self._add(path, future.result())

    def _read_file(self, name: str, path: str, folder: int) -> _Reading:
        for _ in range(_READINGS):
            with _told(path), _opened(name, folder) as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise no_file(path)
                kept, secret = self._collector.put(path, file, expected=before.st_size)
                if _is_same(before, os.fstat(file.fileno()), kept.size):
                    return _Reading(before, kept, secret)
        raise _changed(path)

    def _add(self, path: str, reading: _Reading) -> None:
        status, kept, secret = reading
        self._cache.keep(path, status, Found(kept.sha256, secret))
        self._collector.add_known(
            path,
            kept.sha256,
            size=kept.size,
            executable=bool(status.st_mode & 0o100),
        )
        self._collector.tell_secret(path, secret)


def _is_same(before: os.stat_result, after: os.stat_result, size: int) -> bool:
    return (size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _opened(name: str, folder: int) -> BinaryIO:
    # Whatever lies there by now: no link is followed, and no pipe is waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.fdopen(os.open(name, flags, dir_fd=folder), "rb", buffering=0)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what keeps others from being read into a SnapshotError."""
    try:
        yield
    except PermissionError as error:
        raise SnapshotError(
            f"“{show(path)}” may not be read.",
            "Allow it to the account of the portal, or leave it out.",
        ) from error
    except OSError as error:
        if error.errno not in _MOVED:
            raise
        raise _changed(path) from error


def _changed(path: str) -> SnapshotError:
    return SnapshotError(
        f"“{show(path)}” is not there, or was changed while it was read.",
        "Try again when nothing changes in the folder.",
    )
