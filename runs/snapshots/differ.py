"""Which lines of texts differ, found by git, whose worst case is bearable.

Of two texts of 4,000 lines that repeat each other, Python's own differ makes half a
minute of work; git finds its way through 100,000 in half a second.
"""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from runs.git_command import TooMuchError, TooSlowError, run_git
from runs.snapshots.errors import SnapshotError, full_disk_told

_MOST_OUTPUT = 64 * 1024 * 1024
# How git begins what it says of a pair, and of two ranges of lines in it. The lines
# themselves follow a sign, so that no content can look like these.
_TOLD = re.compile(
    rb"^(?:diff --git old/(\d+) new/\d+|@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@)",
    re.MULTILINE,
)


class Block(NamedTuple):
    """Lines of the old text that other lines of the new take the place of.

    Counted from 0, the stops are not included; one of the two ranges may be empty.
    """

    old_start: int
    old_stop: int
    new_start: int
    new_stop: int

    @property
    def removed(self) -> int:
        return self.old_stop - self.old_start

    @property
    def added(self) -> int:
        return self.new_stop - self.new_start


class TooLongError(SnapshotError):
    """The texts would take too long to compare."""


def differing_blocks(
    pairs: Iterable[tuple[bytes, bytes]],
    *,
    ignore_space: bool = False,
    seconds: float = 5,
) -> list[list[Block]]:
    """The blocks of each pair of texts, in their order. Raises TooLongError."""
    with (
        tempfile.TemporaryDirectory(prefix="aml-portal-diff-") as name,
        full_disk_told(),
    ):
        folder = Path(name)
        count = _lay_out(pairs, folder)
        if not count:
            return []
        output = _run(folder, seconds, ignore_space=ignore_space)
    return _read(output, count)


def _lay_out(pairs: Iterable[tuple[bytes, bytes]], folder: Path) -> int:
    """Numbers are all that git gets to see as names."""
    count = 0
    for side in ("old", "new"):
        (folder / side).mkdir()
    for count, (old, new) in enumerate(pairs, start=1):
        (folder / "old" / str(count - 1)).write_bytes(old)
        (folder / "new" / str(count - 1)).write_bytes(new)
    return count


def _run(folder: Path, seconds: float, *, ignore_space: bool) -> bytes:
    try:
        return run_git(
            *("diff", "--no-index", "--no-color", "--no-ext-diff", "--no-textconv"),
            *("--no-renames", "--no-prefix", "--text", "--unified=0"),
            "--diff-algorithm=histogram",
            *(["--ignore-all-space"] if ignore_space else []),
            *("old", "new"),
            folder=folder,
            seconds=seconds,
            most=_MOST_OUTPUT,
            # Whatever repository is above takes no part.
            environment={"GIT_CEILING_DIRECTORIES": str(folder.parent.resolve())},
            # 1 says that there are differences.
            fine=(0, 1),
        )
    except (TooSlowError, TooMuchError) as error:
        raise TooLongError(
            "The differences take too long to find.", "Download both to compare them."
        ) from error


def _read(output: bytes, count: int) -> list[list[Block]]:
    found: list[list[Block]] = [[] for _ in range(count)]
    blocks: list[Block] = []
    for match in _TOLD.finditer(output):
        number, *ranges = match.groups()
        if number is not None:
            blocks = found[int(number)]
        else:
            blocks.append(Block(*_range(*ranges[:2]), *_range(*ranges[2:])))
    return found


def _range(start: bytes, count: bytes | None) -> tuple[int, int]:
    """git counts from 1, and names the line before an empty range."""
    lines = 1 if count is None else int(count)
    first = int(start) - 1 if lines else int(start)
    return first, first + lines
