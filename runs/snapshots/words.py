"""Which words of lines that were replaced are new, and which are gone."""

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, compress, pairwise

from runs.snapshots.differ import Block, TooLongError, differing_blocks

Span = tuple[int, int]
Lines = Sequence[str]

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
# In a longer block hardly a word is at its old place.
_MOST_CHARACTERS = 50_000
# With less of it as before, a line is another line.
_LEAST_KEPT = 0.3
_SECONDS = 2


def changed_words(
    replaced: Sequence[tuple[Lines, Lines]],
) -> list[tuple[list[list[Span]], list[list[Span]]]]:
    """For each pair of old and new lines what to emphasise in each line of both.

    Nothing in lines that are wholly others, or where it would take too long.
    """
    words = [(_words(old), _words(new)) for old, new in replaced]
    try:
        found = differing_blocks(
            ((_one_a_line(old), _one_a_line(new)) for old, new in words),
            seconds=_SECONDS,
        )
    except TooLongError:
        found = [[] for _ in words]
    return [
        (_spans(old, _gone(blocks)), _spans(new, _came(blocks)))
        for (old, new), blocks in zip(words, found, strict=True)
    ]


def _words(lines: Lines) -> list[list[str]]:
    if sum(map(len, lines)) > _MOST_CHARACTERS:
        return [[] for _ in lines]
    return [_WORD.findall(line) for line in lines]


def _one_a_line(words: list[list[str]]) -> bytes:
    return "".join(f"{word}\n" for line in words for word in line).encode()


def _gone(blocks: list[Block]) -> set[int]:
    return {n for block in blocks for n in range(block.old_start, block.old_stop)}


def _came(blocks: list[Block]) -> set[int]:
    return {n for block in blocks for n in range(block.new_start, block.new_stop)}


def _spans(lines: list[list[str]], changed: set[int]) -> list[list[Span]]:
    starts = accumulate((len(line) for line in lines), initial=0)
    return [
        _spans_of(line, [start + n in changed for n in range(len(line))])
        for line, start in zip(lines, starts, strict=False)
    ]


def _spans_of(words: list[str], changed: list[bool]) -> list[Span]:
    marked = zip(words, changed, strict=True)
    kept = sum(len(w) for w, is_new in marked if not is_new and not w.isspace())
    whole = sum(len(word) for word in words if not word.isspace())
    if not any(changed) or kept < _LEAST_KEPT * whole:
        return []
    places = pairwise(accumulate(map(len, words), initial=0))
    return _joined(compress(places, changed))


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Those that touch as one, and those with a single space between."""
    found: list[Span] = []
    for start, stop in spans:
        if found and start - found[-1][1] <= 1:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found
