"""Makes the folders of jobs out of file contents that this machine has already.

Shipped to compute targets: standard library only, Python 3.8 or newer. A content is an
object, a file named by the SHA-256 of its bytes. Objects stay when a job's folder goes,
so that only what changed has to travel for the next one. On the portal's own machine
they are those of the portal's store, which lays out its files in the same way.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import time
from typing import IO, Any, Dict, Iterable, Iterator, List, Set, Tuple

Json = Dict[str, Any]
# The SHA-256 of a content, and how many bytes it has.
Content = Tuple[str, int]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK = 1 << 20
_AT_ONCE = 1 << 26
_AN_HOUR = 3600.0
# Between file systems, or on one that can't do it, or on a kernel that can't.
_NO_RANGES = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


class Lacking(Exception):
    """An object is not here, or not as it should be; then it was set aside."""


class Spoilt(Exception):
    """What arrived is not what it was said to be."""


class Objects:
    """Contents in one folder; each is there whole or not at all.

    Any number of processes may use it at once, and may be killed at any time.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, sha256: str) -> str:
        return os.path.join(self.folder, sha256[:2], sha256[2:])

    def lacking(self, wanted: Iterable[Content]) -> List[str]:
        """Those that are not here. What is here counts as used from now on."""
        return [sha256 for sha256, size in wanted if not self._keep(sha256, size)]

    def receive(self, stream: IO[bytes]) -> int:
        """Keep the files of a tar stream, each named by its hash; how many they were.

        Raises Spoilt at the first that is not what its name says.
        """
        count = 0
        os.makedirs(os.path.join(self.folder, "new"), mode=0o700, exist_ok=True)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or not _SHA256.fullmatch(member.name):
                    raise Spoilt("%r is no object." % member.name)
                self._put(member.name, content)
                count += 1
        return count

    def lay_out(self, entries: List[Json], folder: str) -> None:
        """Make `folder` of copies, all of it at once; one that is there stays as it is.

        `entries` are those of a manifest. A power cut is the caller's to mend, since
        waiting for the disk would hold up every job. Raises Lacking.
        """
        with _alone(os.path.dirname(folder)):
            if os.path.lexists(folder):
                return
            fresh = folder + ".new"
            shutil.rmtree(fresh, ignore_errors=True)
            try:
                self._fill(fresh, entries)
                os.rename(fresh, folder)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise

    def sweep(self, seconds: float) -> Json:
        """Remove what was not used for so long; how many objects and bytes it was."""
        removed = size = 0
        latest = time.time() - seconds
        for parent, _, names in os.walk(self.folder):
            for path in (os.path.join(parent, name) for name in names):
                with contextlib.suppress(OSError):
                    facts = os.lstat(path)
                    if facts.st_mtime < latest:
                        os.unlink(path)
                        removed, size = removed + 1, size + facts.st_size
        return {"objects": removed, "bytes": size}

    def _keep(self, sha256: str, size: int) -> bool:
        path = self.path(sha256)
        try:
            facts = os.stat(path)
            if facts.st_size != size:
                return False
            if facts.st_mtime < time.time() - _AN_HOUR:
                os.utime(path)
        except OSError:
            return False
        return True

    def _put(self, sha256: str, content: IO[bytes]) -> None:
        path, fresh = self.path(sha256), self._fresh()
        try:
            with open(fresh, "xb", opener=_open_private) as file:
                found = hashlib.sha256()
                for block in iter(lambda: content.read(_BLOCK), b""):
                    found.update(block)
                    file.write(block)
            if found.hexdigest() != sha256:
                raise Spoilt("An object changed on its way.")
            try:
                os.rename(fresh, path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                os.rename(fresh, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise

    def _fresh(self) -> str:
        """A path for what is no object yet, or no more."""
        return os.path.join(self.folder, "new", os.urandom(16).hex())

    def _fill(self, folder: str, entries: List[Json]) -> None:
        os.mkdir(folder, 0o700)
        made = {folder}
        # Links come last, so that nothing is ever written through one.
        for entry in sorted(entries, key=lambda entry: entry.get("kind") == "link"):
            path, kind = os.path.join(folder, entry["path"]), entry.get("kind", "file")
            _make_folders(path if kind == "folder" else os.path.dirname(path), made)
            if kind == "file":
                self._copy(entry, path)
            elif kind == "link":
                os.symlink(entry["target"], path)

    def _copy(self, entry: Json, path: str) -> None:
        mode = 0o755 if entry.get("executable") else 0o644
        size = entry.get("size", 0)
        with self._open_whole(entry["sha256"]) as source:
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                if _copy_bytes(source.fileno(), target, size) != size:
                    raise Lacking(entry["sha256"])
            finally:
                os.close(target)

    def _open_whole(self, sha256: str) -> IO[bytes]:
        """An object of which each byte was found to be right."""
        try:
            file = open(self.path(sha256), "rb", buffering=0)
        except FileNotFoundError:
            raise Lacking(sha256) from None
        try:
            if _hash(file) != sha256:
                self._set_aside(sha256, file)
                raise Lacking(sha256)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def _set_aside(self, sha256: str, file: IO[bytes]) -> None:
        path = self.path(sha256)
        with contextlib.suppress(FileNotFoundError):
            # Another may have mended it meanwhile.
            if os.path.samestat(os.stat(path), os.fstat(file.fileno())):
                os.makedirs(os.path.join(self.folder, "new"), 0o700, exist_ok=True)
                os.rename(path, self._fresh())


def stage(folder: str, spec: Json, entries: List[Json], objects: Objects) -> None:
    """Make the folder of a job: the files of its source, then `job.json`.

    One that is staged already stays as it is. Raises Lacking.
    """
    # Else one that looked before could remove what another has laid out since.
    with _alone(folder):
        _forget_other_boots(folder)
    job = os.path.join(folder, "job.json")
    if not os.path.lexists(job):
        objects.lay_out(entries, os.path.join(folder, "work"))
        _write(job, json.dumps(spec))


def _forget_other_boots(folder: str) -> None:
    """Remove what was laid out before the machine was last started.

    Files are not forced to the disk while they are laid out, which would hold up every
    run for what others write; so a power cut may have left them empty.
    """
    note, boot = os.path.join(folder, "boot_id"), _boot_id()
    if os.path.lexists(os.path.join(folder, "runner.json")) or _read(note) == boot:
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, "job.json"))
    shutil.rmtree(os.path.join(folder, "work"), ignore_errors=True)
    _write(note, boot)


def _boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    temporary = "%s.%s" % (path, os.urandom(4).hex())
    with open(temporary, "x", encoding="utf-8", opener=_open_private) as file:
        file.write(text)
    os.replace(temporary, path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Wait for others who make something in `folder`."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Where no folder can be held, two at once fail, and the next try makes it good.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folders(path: str, made: Set[str]) -> None:
    missing = []
    while path not in made:
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        os.mkdir(each)
    made.update(missing)


def _hash(file: IO[bytes]) -> str:
    sha256 = hashlib.sha256()
    for block in iter(lambda: file.read(_BLOCK), b""):
        sha256.update(block)
    return sha256.hexdigest()


def _copy_bytes(source: int, target: int, size: int) -> int:
    """Copy `size` bytes between open files, or fewer at the end; how many they were.

    Where the file system can, both files share the bytes until one of them is changed.
    """
    left = size
    try:
        while left > 0:
            copied = os.copy_file_range(source, target, min(left, _AT_ONCE))
            if not copied:
                break
            left -= copied
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_RANGES:
            raise
    # Some file systems copy nothing and say that all went well.
    while left > 0:
        block = os.read(source, min(left, _BLOCK))
        if not block:
            break
        left -= len(block)
        while block:
            block = block[os.write(target, block) :]
    return size - left
