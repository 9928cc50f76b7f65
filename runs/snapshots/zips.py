"""Zip archives made while they are sent, without a temporary file."""

import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.store import Store

_BLOCK = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
# From here on a file is announced as one that may need sizes of 64 bits, which some
# programs can't read from a stream. One still being written may have grown meanwhile.
_LARGE = 1024**3


def zip_snapshot(manifest: Manifest, store: Store) -> Iterator[bytes]:
    """A snapshot as the bytes of a zip archive, piece by piece."""
    return _zip(_member(entry, store) for entry in manifest.entries)


def zip_folder(folder: Path) -> Iterator[bytes]:
    """All regular files below `folder`, following no link.

    A file that goes away meanwhile is passed over.
    """
    return _zip(
        _Member(name=path.relative_to(folder).as_posix(), open=partial(_open, path))
        for parent, _, names in os.walk(folder)
        for path in (Path(parent, name) for name in sorted(names))
        if path.is_file() and not path.is_symlink()
    )


@dataclass(frozen=True, kw_only=True)
class _Member:
    """What `open` gives, or `text` where there is nothing to open."""

    name: str
    mode: int = stat.S_IFREG | 0o644
    open: Callable[[], BinaryIO] | None = None
    text: str = ""


def _member(entry: Entry, store: Store) -> _Member:
    match entry.kind:
        case "folder":
            return _Member(name=f"{entry.path}/", mode=stat.S_IFDIR | 0o755)
        case "link":
            mode = stat.S_IFLNK | 0o777
            return _Member(name=entry.path, mode=mode, text=entry.target)
    mode = stat.S_IFREG | (0o755 if entry.executable else 0o644)
    return _Member(
        name=entry.path, mode=mode, open=partial(store.open_whole, entry.sha256)
    )


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _zip(members: Iterable[_Member]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member in members:
            info = _info(member)
            if member.open is None:
                archive.writestr(info, member.text)
                continue
            with suppress(FileNotFoundError), member.open() as source:
                for _ in _add(archive, info, source):
                    if sink.size >= _BLOCK:
                        yield sink.take()
    yield sink.take()


def _info(member: _Member) -> zipfile.ZipInfo:
    # A zip's names are text: of other bytes, the numbers are shown.
    shown = os.fsencode(member.name).decode(errors="backslashreplace")
    info = zipfile.ZipInfo(shown, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = member.mode << 16
    return info


def _add(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: BinaryIO
) -> Iterator[None]:
    is_large = os.fstat(source.fileno()).st_size >= _LARGE
    with archive.open(info, "w", force_zip64=is_large) as member:
        while block := source.read(_BLOCK):
            member.write(block)
            yield
    yield


class _Sink(io.RawIOBase):
    """Takes what is written, to be handed on; it can't be sought in."""

    def __init__(self) -> None:
        self._written = bytearray()

    @property
    def size(self) -> int:
        return len(self._written)

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken
