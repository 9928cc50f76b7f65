"""Blocks of differing lines with the equal lines around them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from runs.snapshots.differ import Block

CONTEXT = 3


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """A part of both texts, from `start` to `stop`, in which the `blocks` differ."""

    old_start: int
    old_stop: int
    new_start: int
    new_stop: int
    blocks: list[Block]

    @property
    def equal(self) -> list[tuple[int, int, int]]:
        """What is the same before, between and after the blocks: where it begins in
        both texts, and how many lines it has.
        """
        first = Block(self.old_start, self.old_start, self.new_start, self.new_start)
        last = Block(self.old_stop, self.old_stop, self.new_stop, self.new_stop)
        return [
            (one.old_stop, one.new_stop, other.old_start - one.old_stop)
            for one, other in pairwise([first, *self.blocks, last])
        ]


def in_hunks(blocks: Iterable[Block], old_lines: int, new_lines: int) -> list[Hunk]:
    """Blocks whose surroundings touch are one hunk."""
    groups: list[list[Block]] = []
    for block in blocks:
        if groups and block.old_start - groups[-1][-1].old_stop <= 2 * CONTEXT:
            groups[-1].append(block)
        else:
            groups.append([block])
    return [_around(group, old_lines, new_lines) for group in groups]


def _around(blocks: list[Block], old_lines: int, new_lines: int) -> Hunk:
    first, last = blocks[0], blocks[-1]
    before = min(CONTEXT, first.old_start, first.new_start)
    after = min(CONTEXT, old_lines - last.old_stop, new_lines - last.new_stop)
    return Hunk(
        old_start=first.old_start - before,
        old_stop=last.old_stop + after,
        new_start=first.new_start - before,
        new_stop=last.new_stop + after,
        blocks=blocks,
    )
