"""Reads tar archives, plain or compressed, of any origin."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import BinaryIO, Self

from aml_portal.sizes import spell_size
from runs.snapshots.errors import SnapshotError
from runs.snapshots.limits import Limits
from runs.snapshots.members import Kind, Member
from runs.snapshots.names import show
from runs.snapshots.store import Readable

# All that may come before a member's content: its header, long names, a list of holes.
_LARGEST_HEADER = 1024 * 1024
# What unpacking may take; the most that xz itself makes needs a quarter of it.
_XZ_MEMORY = 256 * 1024 * 1024
_CHUNK = 64 * 1024
_END: type[tarfile.HeaderError] = tarfile.EOFHeaderError  # type: ignore[attr-defined]
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"


def is_tar(start: bytes) -> bool:
    """Whether a file with these first 512 bytes is one, or may be one, compressed."""
    if start[257:262] == b"ustar" or start.startswith((_GZIP, _BZIP2, _XZ)):
        return True
    # The oldest kind has nothing to be known by but the checksum of its header.
    with suppress(tarfile.HeaderError):
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
        return True
    return False


def tar_members(stream: BinaryIO, start: bytes, limits: Limits) -> Iterator[Member]:
    """What a tar archive holds; `start` is its first 512 bytes."""
    stream.seek(0)
    meter = _Meter(_unpacked(stream, start), limits.most_seen_bytes)
    with _Archive.open(
        fileobj=meter, mode="r:", tarinfo=_Header, encoding="utf-8"
    ) as archive:
        while header := archive.next():
            # It would keep all of them, and all that headers say of all members.
            archive.members.clear()
            archive.pax_headers = {}
            meter.allow(header.size)
            yield Member(
                name=header.name,
                kind=_kind(header),
                open=partial(_open, archive, header),
                size=header.size,
                executable=bool(header.mode & 0o100),
                target=partial(getattr, header, "linkname"),
            )
            meter.allow(0)
    meter.finish()


def _kind(header: tarfile.TarInfo) -> Kind:
    if header.isdir():
        return "folder"
    if header.issym():
        return "link"
    if header.islnk():
        return "copy"
    return "file" if header.isreg() else "other"


def _open(
    archive: tarfile.TarFile, header: tarfile.TarInfo
) -> AbstractContextManager[Readable]:
    if header.issparse():
        raise SnapshotError(
            f"“{show(header.name)}” is stored with holes in it.",
            "Make the archive again without the option for sparse files.",
        )
    content = archive.extractfile(header)
    assert content is not None
    return content


class _Archive(tarfile.TarFile):
    members: list[tarfile.TarInfo]
    pax_headers: dict[str, str]


class _Header(tarfile.TarInfo):
    """A member whose header must be right; else tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except _END:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError("There is no header, nor the end.") from error


class _Meter(io.RawIOBase):
    """What tarfile reads from: only forward, and no more at once than is allowed.

    A header that claims to be huge would be read into memory, and so would many that
    each are about the next; a member to be left out could unpack to terabytes.
    """

    def __init__(self, stream: Readable, skippable: int) -> None:
        self._stream = stream
        self._position = 0
        self._most = self._skippable = skippable
        self.allow(0)

    def allow(self, size: int) -> None:
        """Allow a content of `size` bytes, and one header."""
        self._left = size + _LARGEST_HEADER

    def read(self, size: int = -1, /) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise tarfile.ReadError("A header is too large.")
        blocks = []
        while size and (block := self._stream.read(size)):
            blocks.append(block)
            size -= len(block)
            self._position += len(block)
        return b"".join(blocks)

    def tell(self) -> int:
        return self._position

    def seek(self, target: int, whence: int = io.SEEK_SET, /) -> int:
        size = target - self._position
        if size < 0 or whence != io.SEEK_SET:
            raise tarfile.ReadError("Members overlap.")
        # Less than this is only what fills up a block.
        if size >= tarfile.BLOCKSIZE:
            self._skip(size)
        while size and (block := self._stream.read(min(size, _CHUNK))):
            size -= len(block)
            self._position += len(block)
        return self._position

    def finish(self) -> None:
        """Read what follows the last member: zeros, and the checksum of all that is
        packed. Anything else is another archive, or a header that became zeros.
        """
        while block := self._stream.read(_CHUNK):
            self._skip(len(block))
            if block.strip(b"\0"):
                raise tarfile.ReadError("Something follows the end.")

    def _skip(self, size: int) -> None:
        self._skippable -= size
        if self._skippable < 0:
            raise SnapshotError(
                f"The archive unpacks to more than {spell_size(self._most)}.",
                "Make it again without what the script does not need.",
            )


class _Xz:
    """Unpacks xz as lzma.LZMAFile does, within a limit on memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._unpacker = self._fresh()

    def read(self, size: int, /) -> bytes:
        while True:
            packed = b""
            if self._unpacker.eof:
                # Another may follow, after zeros.
                packed = self._unpacker.unused_data.lstrip(b"\0") or self._next_start()
                if not packed:
                    return b""
                self._unpacker = self._fresh()
            elif self._unpacker.needs_input:
                packed = self._stream.read(_CHUNK)
                if not packed:
                    raise EOFError
            if data := self._unpacker.decompress(packed, size):
                return data

    def _next_start(self) -> bytes:
        while block := self._stream.read(_CHUNK):
            if block := block.lstrip(b"\0"):
                return block
        return b""

    def _fresh(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _unpacked(stream: BinaryIO, start: bytes) -> Readable:
    if start.startswith(_GZIP):
        return gzip.GzipFile(fileobj=stream, mode="rb")
    if start.startswith(_BZIP2):
        return bz2.BZ2File(stream)
    return _Xz(stream) if start.startswith(_XZ) else stream
