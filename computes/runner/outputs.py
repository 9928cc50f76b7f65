"""Sends the files that a script leaves in its outputs, whole and as they change.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, BinaryIO, Dict, Iterator, List, Optional, Set, Tuple

# The folder that Python was given is the first in its path.
from runner import open_below  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from following import Watched  # type: ignore[import-not-found]

# The size of a file, and when it was changed.
Version = Tuple[int, int]


class Outputs:
    """The files that the script leaves, sent as whole versions when they are quiet.

    The work is done a little at a time, so that a large file of one job does not keep
    the logs of the others waiting.
    """

    QUIET = 1.0
    # A file that is never quiet, say a table that grows, is sent every so often if it
    # is small.
    PATIENCE, SMALL = 3.0, 1 << 22
    AT_ONCE = 0.02

    def __init__(self, watched: Watched, have: Dict[str, List[int]]) -> None:
        self.watched = watched
        self.sent: Dict[str, Version] = {
            name: (version[0], version[1]) for name, version in have.items()
        }
        # Since when a file is not as it was sent.
        self.changed: Dict[str, float] = {}
        # Files and folders that the last look could not look into.
        self.unseen: Set[str] = set()
        self.due = 0.0
        self.work: Optional[Iterator[None]] = None
        self.is_final = False
        self.begun = 0.0

    def step(self, *, final: bool) -> bool:
        """Do a little of what there is to do; whether some of it is left.

        With `final`, all that the job left is sent before this is False.
        """
        if self.work is None:
            if not final and time.monotonic() < self.due:
                return False
            self.begun = time.monotonic()
            self.is_final = final
            self.work = self._send_changes(final=final)
        until = time.monotonic() + self.AT_ONCE
        for _ in self.work:
            if time.monotonic() > until:
                return True
        self.work = None
        # Looking and sending take at most about a tenth of the time.
        self.due = time.monotonic() + max(1.0, 10 * (time.monotonic() - self.begun))
        # A look that began before the end may have missed what came after.
        return final and not self.is_final

    def _send_changes(self, *, final: bool) -> Iterator[None]:
        found = {}
        for name, version in self._walk():
            found[name] = version
            yield
        gone = [
            name
            for name in self.sent
            if name not in found and not self._is_unseen(name)
        ]
        for name in gone:
            del self.sent[name]
        self.changed = {name: at for name, at in self.changed.items() if name in found}
        if gone:
            self.watched.send({"removed": gone})
        for name, version in found.items():
            if self.sent.get(name) != version and (
                final or self._is_ripe(name, version)
            ):
                for _ in self._send_file(name, version):
                    yield

    def _is_unseen(self, name: str) -> bool:
        """Whether the file may be there, in a folder that can't be looked into."""
        while name and name not in self.unseen:
            name = os.path.dirname(name)
        return bool(name)

    def _is_ripe(self, name: str, version: Version) -> bool:
        since = self.changed.setdefault(name, time.monotonic())
        quiet = time.time() - version[1] / 1e9 >= self.QUIET
        waited = time.monotonic() - since >= self.PATIENCE
        return quiet or (waited and version[0] <= self.SMALL)

    def _walk(self) -> Iterator[Tuple[str, Version]]:
        work = self.watched.job.path("work")
        self.unseen = set()
        if os.path.islink(work):
            return
        for top in ("outputs", "logs"):
            folder = os.path.join(work, top)
            if os.path.islink(folder):
                continue
            for parent, _, names in os.walk(folder, onerror=self._pass_over):
                for path in (os.path.join(parent, name) for name in names):
                    version = self._version_of(path)
                    if version:
                        yield os.path.relpath(path, work), version

    def _version_of(self, path: str) -> Optional[Version]:
        """What version of a file is there; None of what is none, or not seen."""
        try:
            facts = os.lstat(path)
        except OSError as error:
            self._pass_over(error)
            return None
        is_file = stat.S_ISREG(facts.st_mode)
        return (facts.st_size, facts.st_mtime_ns) if is_file else None

    def _pass_over(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            work = self.watched.job.path("work")
            name = os.path.relpath(error.filename, work)
            self.unseen.add(name)
            self._give_up(name, error.strerror or str(error))

    def _send_file(self, name: str, version: Version) -> Iterator[None]:
        try:
            folder, path = self.watched.job.folder, "work/%s" % name
            descriptor = open_below(folder, path, os.O_RDONLY)
        except OSError as error:
            self._give_up(name, error.strerror or str(error))
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                for _ in self._send_pieces(name, version, file):
                    yield

    def _give_up(self, name: str, why: str) -> None:
        """Say why a file is not sent, once there is no other look at it."""
        if self.is_final:
            self.watched.send({"output": name, "left_out": why})

    def _send_pieces(
        self, name: str, version: Version, file: BinaryIO
    ) -> Iterator[None]:
        size, mtime_ns = version
        header = {"output": name, "total": size, "mtime_ns": mtime_ns}
        offset, last = 0, False
        while not last:
            data = self._read_piece(file, version, offset)
            if data is None:
                self.watched.send({"output": name, "torn": True})
                self._give_up(name, "it still changed when it was read")
                return
            last = offset + len(data) >= size
            self.watched.send(dict(header, offset=offset, last=last), data)
            offset += len(data)
            yield
        self.sent[name] = version
        self.changed.pop(name, None)

    def _read_piece(
        self, file: BinaryIO, version: Version, offset: int
    ) -> Optional[memoryview]:
        """The next bytes; None if they are no longer those of the version."""
        try:
            data = self.watched.read(file, offset, version[0] - offset)
            facts = os.fstat(file.fileno())
        except OSError:
            return None
        same = (facts.st_size, facts.st_mtime_ns) == version
        return data if same and (data or not version[0]) else None
