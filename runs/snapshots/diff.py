"""How the contents of changed files differ, as far as that can be told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from runs.binary import is_binary
from runs.snapshots.changes import Change
from runs.snapshots.differ import Block, TooLongError, differing_blocks
from runs.snapshots.errors import SnapshotError
from runs.snapshots.manifest import Entry

LARGEST = 4 * 1024 * 1024
MOST_LINES = 200_000
# So much is compared at once; what is beyond, when somebody wants to see it.
_MOST_BYTES = 32 * 1024 * 1024

Read = Callable[[Entry], bytes]


class Obstacle(StrEnum):
    """Why the lines of a file were not compared."""

    NONE = ""
    BINARY = "binary"
    LARGE = "large"
    SLOW = "slow"
    MISSING = "missing"
    # Others came first.
    LATER = "later"


class Contents(NamedTuple):
    old: bytes
    new: bytes


_NOTHING = Contents(b"", b"")


@dataclass(frozen=True, kw_only=True)
class FileDiff:
    """A change with both contents, if they were read, and what differs in them."""

    change: Change
    contents: Contents = _NOTHING
    blocks: list[Block] = field(default_factory=list)
    obstacle: Obstacle = Obstacle.NONE

    @property
    def added(self) -> int:
        return sum(block.added for block in self.blocks)

    @property
    def removed(self) -> int:
        return sum(block.removed for block in self.blocks)


def compare(
    changes: Sequence[Change], read: Read, *, ignore_space: bool = False
) -> list[FileDiff]:
    """The diffs of the changes, in their order, found in a bounded time.

    `read` gives the content of a file, and may raise SnapshotError.
    """
    found: list[FileDiff] = []
    room = _MOST_BYTES
    for change in changes:
        if found and _size(change) > room:
            found.append(FileDiff(change=change, obstacle=Obstacle.LATER))
        else:
            found.append(uncompared(change, read))
            room -= _size(change)
    return _compared(found, ignore_space=ignore_space)


def uncompared(change: Change, read: Read) -> FileDiff:
    """The contents alone, where both are text of a bearable size; else why not."""
    if not _has_diff(change):
        return FileDiff(change=change)
    files = [e for e in change if e is not None and e.kind == "file"]
    if any(file.size > LARGEST for file in files):
        return FileDiff(change=change, obstacle=Obstacle.LARGE)
    try:
        contents = Contents(
            *(read(e) if e and e.kind == "file" else b"" for e in change)
        )
    except SnapshotError:
        return FileDiff(change=change, obstacle=Obstacle.MISSING)
    return FileDiff(change=change, contents=contents, obstacle=_obstacle(contents))


def line_count(content: bytes) -> int:
    """The last line needs no end, but something in it."""
    return content.count(b"\n") + (not content.endswith(b"\n") and content != b"")


def line_ends(content: bytes) -> str:
    """ "CRLF", "LF" or "both"; "" where no line has an end."""
    windows = content.count(b"\r\n")
    others = content.count(b"\n") - windows
    if windows and others:
        return "both"
    return ("CRLF" if windows else "") or ("LF" if others else "")


def _size(change: Change) -> int:
    """How many bytes would be read."""
    if not _has_diff(change):
        return 0
    return sum(entry.size for entry in change if entry and entry.size <= LARGEST)


def _has_diff(change: Change) -> bool:
    before, after = change
    return not (before and after and before.sha256 == after.sha256)


def _obstacle(contents: Contents) -> Obstacle:
    if any(is_binary(content) for content in contents):
        return Obstacle.BINARY
    if max(map(line_count, contents)) > MOST_LINES:
        return Obstacle.LARGE
    return Obstacle.NONE


def _compared(diffs: list[FileDiff], *, ignore_space: bool) -> list[FileDiff]:
    """With one git for all that needs it."""
    texts = {
        n: diff
        for n, diff in enumerate(diffs)
        if all(diff.contents) and not diff.obstacle
    }
    try:
        blocks = differing_blocks(
            (diff.contents for diff in texts.values()), ignore_space=ignore_space
        )
    except TooLongError:
        # One alone may be quick enough.
        obstacle = Obstacle.LATER if len(texts) > 1 else Obstacle.SLOW
        done = {n: replace(diff, obstacle=obstacle) for n, diff in texts.items()}
    else:
        pairs = zip(texts.items(), blocks, strict=True)
        done = {n: replace(diff, blocks=found) for (n, diff), found in pairs}
    return [done.get(n) or _one_sided(diff) for n, diff in enumerate(diffs)]


def _one_sided(diff: FileDiff) -> FileDiff:
    """Where there is only one text, each of its lines is new, or gone."""
    old, new = (line_count(content) for content in diff.contents)
    if diff.obstacle or not (old or new):
        return diff
    return replace(diff, blocks=[Block(0, old, 0, new)])
