"""Reads what people send into the store: an archive of any kind, a folder, a file."""

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runs.snapshots.collector import Collector, Intake, Limits
from runs.snapshots.errors import SnapshotError
from runs.snapshots.folder_intake import read_folder_into
from runs.snapshots.names import safe_path, show
from runs.snapshots.store import Store
from runs.snapshots.tar_intake import is_tar, read_tar
from runs.snapshots.zip_intake import is_zip, read_zip

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
    collector = Collector(store, limits)
    start = stream.read(tarfile.BLOCKSIZE)
    stream.seek(0)
    with _damage_told(name):
        if is_zip(start):
            read_zip(stream, collector)
        elif is_tar(start):
            read_tar(stream, start, collector)
        elif name.lower().endswith(_ENDINGS):
            raise _damaged(name)
        else:
            collector.add_file(safe_path(name), stream, size=0)
    return collector.intake()


def read_folder(folder: Path, store: Store, limits: Limits) -> Intake:
    """Read a folder of this machine, following no link. Raises SnapshotError."""
    store.tidy()
    collector = Collector(store, limits)
    read_folder_into(collector, folder)
    return collector.intake(flatten=False)


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
