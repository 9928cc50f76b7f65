"""Reads what people send into the store: an archive of any kind, a folder, a file."""

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runs.snapshots.collector import Collector, Intake
from runs.snapshots.errors import SnapshotError
from runs.snapshots.folder_intake import FolderReader, stat_cache_of
from runs.snapshots.ignore import IgnoreRules
from runs.snapshots.limits import Limits
from runs.snapshots.members import Member, Survey
from runs.snapshots.names import safe_path, show
from runs.snapshots.offers import SHA256
from runs.snapshots.stat_cache import StatCache
from runs.snapshots.store import Store
from runs.snapshots.tar_intake import is_tar, tar_members
from runs.snapshots.zip_intake import is_zip, zip_members

_ENDINGS = (".zip", ".tar", ".tgz", ".tbz", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z")
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, ValueError, OverflowError, RecursionError),
)


def read_upload(stream: BinaryIO, store: Store, limits: Limits, *, name: str) -> Intake:
    """Read a seekable upload; its first bytes tell what it is.

    What is no archive is taken for a single file called `name`. Raises SnapshotError.
    """
    store.tidy()
    start = stream.read(tarfile.BLOCKSIZE)
    stream.seek(0)
    with _damage_told(name):
        if is_zip(start):
            return _read_archive(lambda: zip_members(stream, limits), store, limits)
        if is_tar(start):
            return _read_archive(
                lambda: tar_members(stream, start, limits), store, limits
            )
        if name.lower().endswith(_ENDINGS):
            raise _damaged(name)
        collector = Collector(store, limits, IgnoreRules())
        collector.add_file(safe_path(name), stream, size=0)
        return collector.intake()


def _read_archive(
    members: Callable[[], Iterator[Member]], store: Store, limits: Limits
) -> Intake:
    """Read the members twice: what is left out of them may be said by the last."""
    survey = Survey(limits)
    for member in members():
        survey.look_at(member)
    collector = Collector(store, limits, survey.rules(), top=survey.top())
    for member in members():
        collector.take(member)
    return collector.intake()


def read_objects(stream: BinaryIO, store: Store, limits: Limits) -> int:
    """Keep the members of a plain tar archive, each named by its SHA-256; how many.

    Raises SnapshotError at the first that is wrong; those before it are kept.
    """
    count = 0
    with _damage_told("objects.tar"):
        for member in tar_members(stream, b"", limits):
            if member.kind != "file" or not SHA256.fullmatch(member.name):
                raise SnapshotError(
                    f"“{show(member.name)}” is no name of an object.",
                    "Name each by the SHA-256 of its bytes.",
                )
            with member.open() as content:
                store.put_as(member.name, content, member.size)
            count += 1
    return count


def read_folder(folder: Path, store: Store, limits: Limits) -> Intake:
    """Read a folder of this machine, following no link. Raises SnapshotError."""
    cache = stat_cache_of(folder, store)
    intake = _read_folder(folder, store, limits, cache)
    cache.save()
    return intake


def read_once(folder: Path, store: Store, limits: Limits) -> Intake:
    """Read a folder that will not be there again, so that nothing is remembered."""
    return _read_folder(folder, store, limits, stat_cache_of(folder, store))


def _read_folder(
    folder: Path, store: Store, limits: Limits, cache: StatCache
) -> Intake:
    store.tidy()
    collector = Collector(store, limits, IgnoreRules())
    FolderReader(folder, store, collector, cache).read()
    return collector.intake()


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise _damaged(name) from error
    except OSError as error:
        # Those who unpack give theirs no number; the other is of a place to seek that
        # can't be. The rest are the disk's.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged(name) from error


def _damaged(name: str) -> SnapshotError:
    return SnapshotError(
        f"“{show(name)}” is no zip or tar archive, or it is damaged.",
        "Make the archive again and send it once more.",
    )
