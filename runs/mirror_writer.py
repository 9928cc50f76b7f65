"""Writes a run's mirror from what `runner follow` sends.

Bytes are put at the offset that they came from, so sending them twice, after a crash
or from two followers at once, changes nothing. Any method may raise OSError, on a full
disk for example; then a new writer goes on from what is there.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from pathlib import Path

from runs.logs import LogIndexWriter
from runs.mirror import EXIT, LOG, STREAMS, safe_output
from runs.reports import LogFacts

_PARTIAL = "partial"
# What may be wrong with one output; whatever else is wrong, is so with the mirror.
_BAD_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR)


class MirrorGap(Exception):
    """Bytes came that do not join what is mirrored; follow again from its size."""


class MirrorWriter:
    """The mirror of one job while it is followed; its folder is made if absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Two writers at once, of two monitors, are to meet in whole files only.
        self._own = secrets.token_hex(4)
        self._files: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        (folder / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
        for name in STREAMS:
            self._sizes[name] = _size(folder / name)
        self._index = LogIndexWriter(folder / LOG)
        # Known only if this writer saw the log from its first byte on.
        self._log_hash = None if self._sizes[LOG] else hashlib.sha256()

    @property
    def sizes(self) -> dict[str, int]:
        """How far each growing file is mirrored."""
        return dict(self._sizes)

    def outputs(self) -> dict[str, tuple[int, int]]:
        """The version of each mirrored output: its size and mtime in nanoseconds."""
        folder = self._folder / "files"
        found = {}
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                facts = path.lstat()
                key = path.relative_to(folder).as_posix()
                found[key] = (facts.st_size, facts.st_mtime_ns)
        return found

    def read(self, name: str) -> bytes:
        """The growing file as far as this writer knows it."""
        if not self._sizes[name]:
            return b""
        with (self._folder / name).open("rb") as file:
            return file.read(self._sizes[name])

    def append(self, name: str, offset: int, data: bytes) -> bytes:
        """Put `data` at `offset` of a growing file; the part of it that is new."""
        size = self._sizes[name]
        if offset > size:
            raise MirrorGap(f"{name} ends at {size} and bytes came for {offset}")
        data = data[size - offset :]
        descriptor = self._descriptor(name)
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, self._sizes[name])
            if name == LOG and self._log_hash:
                self._log_hash.update(view[:written])
            self._sizes[name] += written
            view = view[written:]
        if name == LOG and data:
            self._index.extend()
        return data

    def put_output(
        self,
        name: str,
        *,
        offset: int,
        data: bytes,
        mtime_ns: int,
        last: bool,
    ) -> str:
        """Take a piece of a version of an output; the last one puts it in place.

        Returns why this output can't be kept, which is empty else.
        """
        path = safe_output(self._folder / "files", name)
        if path is None:
            return ""
        partial = self._partial(name)
        with partial.open("ab" if offset else "wb") as file:
            if file.tell() != offset:
                raise MirrorGap(f"A piece of {name} before {offset} is missing")
            file.write(data)
        if not last:
            return ""
        try:
            os.utime(partial, ns=(mtime_ns, mtime_ns))
            _make_room(self._folder / "files", path)
            partial.replace(path)
        except OSError as error:
            if error.errno not in _BAD_NAME:
                raise
            return error.strerror or str(error)
        return ""

    def drop_partial(self, name: str) -> None:
        """Forget the pieces of a version that changed while it was sent."""
        self._partial(name).unlink(missing_ok=True)

    def remove_outputs(self, names: list[str]) -> None:
        if (self._folder / EXIT).exists():
            # All has come, and the job's folder is being cleaned: whoever still watches
            # it then, sees its outputs go.
            return
        for name in names:
            path = safe_output(self._folder / "files", name)
            if path is not None:
                _remove(path)

    def log_matches(self, seen: LogFacts) -> bool:
        """Whether the mirrored log is the one that the runner saw, byte for byte."""
        if _size(self._folder / LOG) != seen.bytes:
            return False
        if self._log_digest() == seen.sha256:
            return True
        # Perhaps another writer has repaired it: what is on the disk decides.
        self._log_hash = None
        return self._log_digest() == seen.sha256

    def restart_log(self) -> None:
        """Empty the mirrored log, to have it sent again."""
        with contextlib.suppress(KeyError):
            # Opened anew: somebody may have removed the file.
            os.close(self._files.pop(LOG))
        os.ftruncate(self._descriptor(LOG), 0)
        self._sizes[LOG] = 0
        self._log_hash = hashlib.sha256()
        self._index.close()
        self._index.restart()

    def finish(self, last_word: bytes) -> None:
        """Bring all to the disk, then write the runner's last word as it came."""
        for descriptor in self._files.values():
            os.fsync(descriptor)
        temporary = self._folder / f"{EXIT}.{self._own}"
        with temporary.open("wb") as file:
            file.write(last_word)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / EXIT)
        shutil.rmtree(self._folder / _PARTIAL, ignore_errors=True)

    def close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self._index.close()

    def _descriptor(self, name: str) -> int:
        if name not in self._files:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._files[name] = os.open(self._folder / name, flags, 0o600)
        return self._files[name]

    def _partial(self, name: str) -> Path:
        folder = self._folder / _PARTIAL
        folder.mkdir(exist_ok=True)
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()
        return folder / f"{digest}.{self._own}"

    def _log_digest(self) -> str:
        if self._log_hash is None:
            self._log_hash = hashlib.sha256()
            with (
                contextlib.suppress(FileNotFoundError),
                (self._folder / LOG).open("rb") as file,
            ):
                self._log_hash = hashlib.file_digest(file, "sha256")
        return self._log_hash.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    """Remove a file, unless it is none: a folder may be there, or a file above it."""
    with contextlib.suppress(IsADirectoryError, NotADirectoryError):
        path.unlink(missing_ok=True)


def _make_room(top: Path, path: Path) -> None:
    """Make the folders above `path`, and remove a file or folder in its way.

    The script may have made a folder where a file was, or the reverse.
    """
    for parent in reversed(path.relative_to(top).parents):
        folder = top / parent
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            folder.unlink()
        folder.mkdir(mode=0o700, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
