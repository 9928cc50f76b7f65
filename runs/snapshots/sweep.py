"""Removes the objects that nothing names any more, while others go on to use the store.

A sweep can't know what others are about to name: a client that was told that a file is
here may offer it in a minute, and submit the run within the day. So an object that
nothing names is first swept aside, to `swept/`, which can be undone: whoever asks the
store for it, by whatever method, puts it back and finds it as if nothing had been
(`Store.size`, `Store.open`). What nobody asked for through all of an age, which is a
day, a later sweep removes.

Why nothing is lost that a row of the database names: let `began` be when a sweep began,
before it asked the database what is in use. It removes an object that was swept aside
before `began` less an age, and that no row names. Suppose that a row comes to name it
after all, later. Whoever makes that row has found the object in the store, or written
it, less than an age ago, since no request and no RQ job takes so long from the one to
the other. At that time it was aside already; so they have put it back, or written it
anew, and there is nothing aside to be removed. Putting back and removing are a system
call each: one of the two comes first, and the other finds nothing.

* An offer is told “not lacking”, and to send the rest takes days: each offer looks at
  all of it again, and the one that lacks nothing makes the row, in the same request.
* A manifest that comes before its objects is an object that nothing names, as are
  objects that come before their manifest: they may be swept aside, and come back.
* A run is submitted with a snapshot that is about to go: the submission and the removal
  (`runs/sweep.py`) change the same row, and the second sees what the first has done. A
  form that is too late is told so.
* A row is made after a sweep has asked: what it names may be swept aside now. Whoever
  lays it out puts it back, or else the next sweep, which knows of the row.
* The example is read, and its row renewed, each time that it is chosen. What a session
  remembers of an arrival is a row that may be gone, and a patch that may be: the form
  is told of the one, and the run goes without the other.
* A sweep is killed: each step is one rename or one unlink, and since when an object is
  aside is written before it moves.
* Two sweeps at once would be wrong, since one could sweep aside anew what the other has
  just found to be old. They hold `swept/`, and the second is refused.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from runs.snapshots.disk import let_go, try_hold
from runs.snapshots.errors import SnapshotError
from runs.snapshots.store import Store

# What a folder hashed to is forgotten if nothing in it has changed for so long.
_A_MONTH = 30 * 24 * 60 * 60


class InUse:
    """The objects that are in use, in 32 MB however many there are.

    A bit stands for all objects whose hashes begin alike. Of what is not in use, this
    spares one in so many, and never the other way round: with ten million objects in
    use, one in 27; with a hundred thousand, one in 2,700.
    """

    def __init__(self) -> None:
        self._bits = bytearray(2**25)

    def add(self, sha256: str) -> None:
        place = int(sha256[:7], 16)
        self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, sha256: str) -> bool:
        place = int(sha256[:7], 16)
        return bool(self._bits[place >> 3] & 1 << (place & 7))


@dataclass
class Sum:
    files: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.files += 1
        self.bytes += size


@contextmanager
def sweeping(store: Store) -> Iterator[None]:
    """Let nobody else sweep meanwhile. Raises SnapshotError if somebody does."""
    store.swept_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(store.swept_folder, os.O_RDONLY)
    try:
        if not try_hold(descriptor):
            raise SnapshotError(
                "The snapshots are being swept already.", "Wait until that is done."
            )
        try:
            yield
        finally:
            let_go(descriptor)
    finally:
        os.close(descriptor)


@dataclass(kw_only=True)
class Sweep:
    """Goes through the objects that were there `before`, and counts what it does.

    To be made and run within `sweeping`; so is `in_use`.
    """

    store: Store
    in_use: InUse
    before: float
    dry_run: bool = False
    removed: Sum = field(default_factory=Sum)
    aside: Sum = field(default_factory=Sum)
    back: Sum = field(default_factory=Sum)

    def run(self) -> None:
        # What is aside comes first, so that nothing is swept aside and removed at once.
        for sha256, entry in self.store.swept():
            self._look_at_swept(sha256, entry)
        for sha256, entry in self.store.objects():
            if sha256 not in self.in_use:
                self._look_at_unused(sha256, entry)
        self._forget_folders()

    def _look_at_swept(self, sha256: str, entry: os.DirEntry[str]) -> None:
        with suppress(FileNotFoundError):
            status = entry.stat()
            if sha256 in self.in_use:
                self.back.add(status.st_size)
                if not self.dry_run:
                    self.store.put_back(sha256)
            elif status.st_mtime < self.before:
                if not self.dry_run:
                    os.unlink(entry.path)  # noqa: PTH108
                self.removed.add(status.st_size)

    def _look_at_unused(self, sha256: str, entry: os.DirEntry[str]) -> None:
        with suppress(FileNotFoundError):
            status = entry.stat()
            # What came just now will be named soon.
            if status.st_mtime < self.before:
                self.aside.add(status.st_size)
                if not self.dry_run:
                    self.store.sweep_aside(sha256)

    def _forget_folders(self) -> None:
        if self.dry_run or not self.store.seen_folder.exists():
            return
        for path in self.store.seen_folder.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _A_MONTH:
                    path.unlink()
