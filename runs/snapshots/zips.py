"""Zip archives made while they are sent, without a temporary file."""

import io
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from runs.snapshots.manifest import Manifest
from runs.snapshots.store import Store

_BLOCK = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)


def zip_snapshot(manifest: Manifest, store: Store) -> Iterator[bytes]:
    """The files of a snapshot as the bytes of a zip archive, piece by piece."""
    return _zip(
        (entry.path, 0o755 if entry.executable else 0o644, store.path(entry.sha256))
        for entry in manifest.files
    )


def zip_folder(folder: Path) -> Iterator[bytes]:
    """All regular files below `folder`, following no link."""
    return _zip(
        (path.relative_to(folder).as_posix(), 0o644, path)
        for parent, _, names in os.walk(folder)
        for path in (Path(parent, name) for name in sorted(names))
        if path.is_file() and not path.is_symlink()
    )


def _zip(files: Iterable[tuple[str, int, Path]]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, mode, path in files:
            # A zip's names are text: what is none is shown as well as it can be.
            shown = os.fsencode(name).decode(errors="replace")
            info = zipfile.ZipInfo(shown, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            with path.open("rb") as source:
                yield from _add(archive, info, source, sink)
    yield sink.take()


def _add(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: BinaryIO, sink: "_Sink"
) -> Iterator[bytes]:
    with archive.open(info, "w", force_zip64=True) as member:
        while block := source.read(_BLOCK):
            member.write(block)
            yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what is written, to be handed on; it can't be sought in."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken
