"""The lines of a diff, as one column or as two."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice, zip_longest
from typing import NamedTuple

from django.utils.safestring import SafeString

from runs.snapshots.diff import FileDiff, line_count
from runs.snapshots.differ import Block
from runs.snapshots.hunks import Hunk, in_hunks

# A page can bear so many lines of a file; the rest is left to tools.
MOST_LINES = 1000


@dataclass(kw_only=True)
class Line:
    """A line of a diff by its numbers, from 1; 0 where that side has none like it.

    `html` is that of the newer side, if it is there; `old_html` that of the other.
    """

    old: int = 0
    new: int = 0
    html: SafeString = field(default_factory=SafeString)
    old_html: SafeString = field(default_factory=SafeString)

    @property
    def kind(self) -> str:
        if not self.old:
            return "added"
        return "same" if self.new else "removed"


class Gap(NamedTuple):
    """Equal lines that are not shown: how many come before them, and how many it is."""

    old: int
    new: int
    lines: int


class Pair(NamedTuple):
    """What stands side by side."""

    old: Line | None
    new: Line | None


@dataclass(kw_only=True)
class Part:
    """What comes after a gap, which may be none."""

    gap: Gap | None
    lines: list[Line]

    @property
    def pairs(self) -> list[Pair]:
        return in_pairs(self.lines)


def parts_of(diff: FileDiff, most: int = MOST_LINES) -> tuple[list[Part], int]:
    """The hunks with the gaps between them, and how many lines are beyond `most`."""
    old_count, new_count = (line_count(content) for content in diff.contents)
    hunks = in_hunks(diff.blocks, old_count, new_count)
    parts, left, at = [], most, (0, 0)
    for hunk in hunks:
        lines = list(islice(_lines(hunk), left))
        if not lines:
            break
        parts.append(Part(gap=_gap(at, hunk.old_start, hunk.new_start), lines=lines))
        left -= len(lines)
        at = hunk.old_stop, hunk.new_stop
    beyond = sum(map(_length, hunks)) - (most - left)
    if hunks and not beyond and (gap := _gap(at, old_count, new_count)):
        parts.append(Part(gap=gap, lines=[]))
    return parts, beyond


def equal_lines(gap: Gap) -> list[Line]:
    return [Line(old=gap.old + n, new=gap.new + n) for n in range(1, gap.lines + 1)]


def replaced(lines: list[Line]) -> Iterator[tuple[list[Line], list[Line]]]:
    """Neighbours of which the first are gone and the others came for them."""
    for is_same, group in groupby(lines, key=lambda line: line.kind == "same"):
        if not is_same:
            changed = list(group)
            gone = [line for line in changed if not line.new]
            yield gone, [line for line in changed if not line.old]


def in_pairs(lines: list[Line]) -> list[Pair]:
    found: list[Pair] = []
    for is_same, group in groupby(lines, key=lambda line: line.kind == "same"):
        if is_same:
            found += [Pair(line, line) for line in group]
        else:
            for gone, came in replaced(list(group)):
                found += [Pair(*pair) for pair in zip_longest(gone, came)]
    return found


def _gap(at: tuple[int, int], old: int, new: int) -> Gap | None:
    return Gap(*at, old - at[0]) if old > at[0] and new > at[1] else None


def _length(hunk: Hunk) -> int:
    equal = sum(count for _, _, count in hunk.equal)
    return equal + sum(block.added + block.removed for block in hunk.blocks)


def _lines(hunk: Hunk) -> Iterator[Line]:
    first, *others = hunk.equal
    yield from equal_lines(Gap(*first))
    for block, equal in zip(hunk.blocks, others, strict=True):
        yield from _changed_lines(block)
        yield from equal_lines(Gap(*equal))


def _changed_lines(block: Block) -> Iterator[Line]:
    for number in range(block.old_start, block.old_stop):
        yield Line(old=number + 1)
    for number in range(block.new_start, block.new_stop):
        yield Line(new=number + 1)
