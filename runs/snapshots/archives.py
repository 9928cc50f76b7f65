"""Reads what people send, a tar stream, an archive, a folder, into the store."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from runs.snapshots.manifest import Entry, Manifest, SnapshotError, safe_link, safe_path
from runs.snapshots.store import Readable, Store, TooLargeError

# Never part of what a script needs, and often larger than all of it.
LEFT_OUT = frozenset(
    {".git", ".venv", "venv", "__pycache__", ".ipynb_checkpoints", "node_modules"}
)
_JUNK = frozenset({"__MACOSX", ".DS_Store"})
_SHOWN_LEFT_OUT = 100
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    max_bytes: int
    max_files: int


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What was read: its manifest is in the store, with all that it names.

    `flattened` is the one folder at the top that was taken away, "" if there was none;
    `left_out` has the first of the paths that were left out, `left_out_count` all.
    """

    manifest: Manifest
    flattened: str = ""
    left_out: list[str] = field(default_factory=list)
    left_out_count: int = 0


def read_upload(stream: BinaryIO, store: Store, limits: Limits, *, name: str) -> Intake:
    """Read a seekable upload; its first bytes tell what it is.

    What is no archive is taken for a single file called `name`. Raises SnapshotError.
    """
    reader = _Reader(store, limits)
    start = stream.read(512)
    stream.seek(0)
    try:
        if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            reader.read_zip(stream)
        elif start[257:262] == b"ustar" or _is_compressed(start):
            reader.read_tar(stream)
        elif name.lower().endswith((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")):
            raise SnapshotError(f"“{name}” is not an archive, or it is damaged.", _SEND)
        else:
            reader.add_file(name, stream)
    except _BROKEN as error:
        raise SnapshotError(f"“{name}” is damaged: {error}.", _SEND) from error
    return reader.intake()


_SEND = "Make it anew and send it again."


def read_folder(folder: Path, store: Store, limits: Limits) -> Intake:
    """Read a folder of this machine, following no link out of it."""
    reader = _Reader(store, limits)
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        links = [each for each in folders if (here / each).is_symlink()]
        folders[:] = sorted(each for each in folders if each not in links)
        if not folders and not names and here != folder:
            reader.add_folder(here.relative_to(folder).as_posix())
        for name in sorted(names + links):
            path = here / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                reader.add_link(relative, str(path.readlink()))
            elif path.is_file():
                with path.open("rb") as file:
                    executable = bool(os.fstat(file.fileno()).st_mode & 0o100)
                    reader.add_file(relative, file, executable=executable)
    return reader.intake(flatten=False)


def _is_compressed(start: bytes) -> bool:
    return start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"))


class _Reader:
    """Collects entries, and keeps to the limits on the bytes that really come."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._entries: dict[str, Entry] = {}
        self._bytes = 0
        self._left_out: list[str] = []
        self._left_out_count = 0

    def read_zip(self, stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            self._check_count(len(members))
            for member in members:
                self._read_zip_member(archive, member)

    def _read_zip_member(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo
    ) -> None:
        name, mode = member.filename, member.external_attr >> 16
        if member.flag_bits & 1:
            raise SnapshotError(
                "The archive is encrypted.", "Send one that needs no password."
            )
        if member.create_system == 0:
            name = name.replace("\\", "/")
        if member.is_dir():
            self.add_folder(name)
            return
        with archive.open(member) as content:
            if stat.S_ISLNK(mode):
                self.add_link(name, content.read(5000).decode(errors="replace"))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                self.add_file(name, content, executable=bool(mode & 0o100))
            else:
                raise _special(name)

    def read_tar(self, stream: BinaryIO) -> None:
        with tarfile.open(fileobj=self._plain(stream), mode="r|") as archive:
            for member in archive:
                self._read_tar_member(archive, member)

    def _plain(self, stream: BinaryIO) -> BinaryIO:
        start = stream.read(6)
        stream.seek(0)
        opener: Callable[[BinaryIO], BinaryIO] | None = None
        if start.startswith(b"\x1f\x8b"):
            opener = lambda file: gzip.GzipFile(fileobj=file)  # type: ignore[return-value,assignment]  # noqa: E731
        elif start.startswith(b"BZh"):
            opener = bz2.BZ2File  # type: ignore[assignment]
        elif start.startswith(b"\xfd7zXZ"):
            opener = lzma.LZMAFile  # type: ignore[assignment]
        return opener(stream) if opener else stream

    def _read_tar_member(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo
    ) -> None:
        if member.isdir():
            self.add_folder(member.name)
        elif member.issym():
            self.add_link(member.name, member.linkname)
        elif member.islnk():
            self._add_hard_link(member)
        elif member.isreg():
            content = archive.extractfile(member)
            assert content is not None
            executable = bool(member.mode & 0o100)
            self.add_file(member.name, content, executable=executable)
        else:
            raise _special(member.name)

    def add_file(
        self, name: str, content: Readable, *, executable: bool = False
    ) -> None:
        path = self._wanted(name)
        if path is None:
            return
        try:
            sha256, size = self._store.put(
                content, limit=self._limits.max_bytes - self._bytes
            )
        except TooLargeError as error:
            limit = _spell_bytes(self._limits.max_bytes)
            raise SnapshotError(
                f"The source is larger than {limit}, the most that a snapshot may"
                f" hold (at “{path}”).",
                "Leave out what the script does not need.",
            ) from error
        self._bytes += size
        self._add(Entry(path=path, size=size, executable=executable, sha256=sha256))

    def add_folder(self, name: str) -> None:
        if name.strip("./"):
            path = self._wanted(name)
            if path is not None:
                self._add(Entry(path=path, kind="folder"))

    def add_link(self, name: str, target: str) -> None:
        path = self._wanted(name)
        if path is not None:
            self._add(Entry(path=path, kind="link", target=safe_link(path, target)))

    def _add_hard_link(self, member: tarfile.TarInfo) -> None:
        source = self._entries.get(safe_path(member.linkname))
        path = self._wanted(member.name)
        if path is None:
            return
        if source is None or source.kind != "file":
            raise SnapshotError(
                f"“{path}” is a hard link to what the archive lacks.", _SEND
            )
        self._bytes += source.size
        self._add(Entry(**{**vars(source), "path": path}))

    def _wanted(self, name: str) -> str | None:
        """The path of an entry; None if it is one of those that are left out."""
        path = safe_path(name)
        parts = path.split("/")
        if not (LEFT_OUT | _JUNK).isdisjoint(parts):
            self._left_out_count += 1
            if len(self._left_out) < _SHOWN_LEFT_OUT:
                self._left_out.append(path)
            return None
        return path

    def _add(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._check_count(len(self._entries))

    def _check_count(self, count: int) -> None:
        if count > self._limits.max_files:
            raise SnapshotError(
                f"The source has more than {self._limits.max_files:,} files, the most"
                " that a snapshot may hold.",
                "Leave out what the script does not need.",
            )

    def intake(self, *, flatten: bool = True) -> Intake:
        entries = list(self._entries.values())
        top = _single_top(entries) if flatten else ""
        if top:
            entries = [_below(top, entry) for entry in entries if entry.path != top]
        manifest = Manifest.of(entries)
        if not manifest.files:
            raise SnapshotError("The source holds no files.", "Send one with a script.")
        self._store.put_manifest(manifest)
        return Intake(
            manifest=manifest,
            flattened=top,
            left_out=self._left_out,
            left_out_count=self._left_out_count,
        )


def _special(name: str) -> SnapshotError:
    return SnapshotError(
        f"“{name}” is a device, a pipe or a socket, not a file.", "Leave it out."
    )


def _single_top(entries: list[Entry]) -> str:
    """The only folder at the top, if nothing lies beside it."""
    tops = {entry.path.split("/")[0] for entry in entries}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    return "" if any(e.path == top and e.kind != "folder" for e in entries) else top


def _below(top: str, entry: Entry) -> Entry:
    path = entry.path.removeprefix(f"{top}/")
    if entry.kind == "link":
        safe_link(path, entry.target)
    return Entry(**{**vars(entry), "path": path})


def _spell_bytes(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:g} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:g} GiB"
