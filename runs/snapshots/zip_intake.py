"""Reads zip archives, of any origin."""

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import IO, BinaryIO, cast

from runs.snapshots.errors import SnapshotError
from runs.snapshots.limits import Limits
from runs.snapshots.members import Kind, Member
from runs.snapshots.names import from_root, show

_ENTRY = b"PK\x01\x02"
_LARGEST_DIRECTORY = 128 * 1024 * 1024
_LONGEST_TARGET = 4096
_ENCRYPTED = 0x1
_UTF8 = 0x800
_FROM_DOS = 0
# The others unpack as much as they like at once, and hardly anything makes them.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_zip(start: bytes) -> bool:
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def zip_members(stream: BinaryIO, limits: Limits) -> Iterator[Member]:
    guarded = _Guarded(stream, limits)
    with zipfile.ZipFile(cast("BinaryIO", guarded)) as archive:
        guarded.has_directory = True
        for info in archive.infolist():
            yield _member(archive, info)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name, mode = _name(info), info.external_attr >> 16
    return Member(
        name=name,
        kind=_kind(name, mode),
        open=partial(_open, archive, info),
        target=partial(_target, archive, info),
        size=info.file_size,
        executable=bool(mode & 0o100),
    )


def _kind(name: str, mode: int) -> Kind:
    if name.endswith("/") or stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"


def _name(member: zipfile.ZipInfo) -> str:
    # What follows a zero is cut off elsewhere; here such a name is refused.
    name = member.filename
    if "\0" in member.orig_filename:
        name = member.orig_filename
    if not member.flag_bits & _UTF8:
        # macOS and others write UTF-8 and do not say so; by chance, nothing else
        # looks like it.
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return _from_dos(name) if member.create_system == _FROM_DOS else name


def _from_dos(name: str) -> str:
    # No name on Windows has a colon, but a path from the root of a drive has.
    if name[1:2] == ":":
        raise from_root(name)
    return name.replace("\\", "/")


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & _ENCRYPTED:
        raise SnapshotError(
            "The archive is encrypted.", "Send one that needs no password."
        )
    if info.compress_type not in _METHODS:
        raise SnapshotError(
            f"“{show(_name(info))}” is packed in a way that the portal does not read.",
            "Make the archive again with the usual compression of zip.",
        )
    return archive.open(info)


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with _open(archive, info) as content:
        return content.read(_LONGEST_TARGET).decode(errors="surrogateescape")


class _Guarded(io.RawIOBase):
    """What zipfile reads from. It reads the whole directory of an archive at once, and
    makes objects of all its entries; so what it says it holds is looked at before.
    """

    def __init__(self, stream: BinaryIO, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self.has_directory = False

    def read(self, size: int = -1, /) -> bytes:
        if self.has_directory:
            return self._stream.read(size)
        if size > _LARGEST_DIRECTORY:
            raise SnapshotError(
                "The archive lists too many files.",
                "Leave out what the script does not need.",
            )
        data = self._stream.read(size)
        self._limits.check_seen(data.count(_ENTRY))
        return data

    def seek(self, target: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(target, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
