"""Which of the files that are new are those that are gone, at another place."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator

from runs.snapshots.manifest import Entry

Pair = tuple[Entry, Entry]
# As git does it, contents are compared by their lines, long ones in pieces.
_PIECE = re.compile(rb"[^\n]{0,63}\n|[^\n]{1,64}")
# How much of the larger of two files must be in the other: git's own threshold.
_ALIKE = 0.5
_LARGEST = 1024 * 1024
# So much is read and compared; beyond, files that moved are told as gone and new.
_MOST_BYTES = 16 * 1024 * 1024
_MOST_PIECES = 500_000
_MOST_FILES = 2000
# A piece that more files have says nothing about where one came from.
_COMMON = 20
# So many files that seem alike are compared with each new one.
_MOST_ALIKE = 10


def moves(removed: list[Entry], added: list[Entry]) -> list[Pair]:
    """Pairs of equal content; of several, those of equal names come first."""
    # Empty files are alike, and say nothing about where one came from.
    removed, added = _with_content(removed), _with_content(added)
    named = list(_equal(removed, added, lambda e: (e.sha256, _name(e))))
    others = _equal(*without(removed, added, named), lambda e: e.sha256)
    return [*named, *others]


def edited_moves(
    removed: list[Entry], added: list[Entry], read: Callable[[Entry], bytes]
) -> list[Pair]:
    """Pairs of which at least half is the same, the most alike first."""
    removed, added = _bearable(removed), _bearable(added)
    files = [*removed, *added]
    too_many = len(files) > _MOST_FILES
    if not (removed and added) or too_many or _size_of(files) > _MOST_BYTES:
        return []
    pieces = _pieces_of(files, read)
    if pieces is None:
        return []
    likely = _likely_sources(removed, added, pieces)
    scored = [
        ((score, _name(source) == _name(entry)), source, entry)
        for entry, sources in zip(added, likely, strict=True)
        for source in sources
        if (score := _alike(pieces[source.path], pieces[entry.path])) >= _ALIKE
    ]
    scored.sort(key=lambda found: found[0], reverse=True)
    return list(_each_once((source, entry) for _, source, entry in scored))


def without(
    removed: list[Entry], added: list[Entry], moved: list[Pair]
) -> tuple[list[Entry], list[Entry]]:
    """Those that are in none of the pairs."""
    gone = {before.path for before, _ in moved}
    came = {after.path for _, after in moved}
    return (
        [entry for entry in removed if entry.path not in gone],
        [entry for entry in added if entry.path not in came],
    )


def _with_content(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if e.kind == "file" and e.size]


def _equal(
    removed: list[Entry], added: list[Entry], key: Callable[[Entry], Hashable]
) -> Iterator[Pair]:
    sources: dict[Hashable, deque[Entry]] = defaultdict(deque)
    for entry in removed:
        sources[key(entry)].append(entry)
    for entry in added:
        if found := sources.get(key(entry)):
            yield found.popleft(), entry


def _bearable(entries: list[Entry]) -> list[Entry]:
    return [e for e in _with_content(entries) if e.size <= _LARGEST]


def _pieces_of(
    files: list[Entry], read: Callable[[Entry], bytes]
) -> dict[str, Counter[bytes]] | None:
    """By path; None if they are too many, as files of very short lines have them."""
    pieces, room = {}, _MOST_PIECES
    for entry in files:
        found = _PIECE.findall(read(entry))
        room -= len(found)
        if room < 0:
            return None
        pieces[entry.path] = Counter(found)
    return pieces


def _likely_sources(
    removed: list[Entry], added: list[Entry], pieces: dict[str, Counter[bytes]]
) -> Iterator[list[Entry]]:
    """For each new file a few that it may have been: of its name, or with its lines."""
    by_piece: dict[bytes, list[Entry]] = defaultdict(list)
    by_name: dict[str, list[Entry]] = defaultdict(list)
    for source in removed:
        by_name[_name(source)].append(source)
        for piece in pieces[source.path]:
            by_piece[piece].append(source)
    by_path = {source.path: source for source in removed}
    for entry in added:
        shared = Counter[str]()
        for piece in pieces[entry.path]:
            holders = by_piece.get(piece, ())
            if len(holders) <= _COMMON:
                shared.update({source.path: len(piece) for source in holders})
        named = by_name[_name(entry)][:_MOST_ALIKE]
        alike = [by_path[path] for path, _ in shared.most_common(_MOST_ALIKE)]
        yield list({source.path: source for source in [*named, *alike]}.values())


def _alike(one: Counter[bytes], other: Counter[bytes]) -> float:
    """Which part of the larger one is in the other."""
    return _size(one & other) / max(_size(one), _size(other))


def _size(pieces: Counter[bytes]) -> int:
    return sum(len(piece) * count for piece, count in pieces.items())


def _size_of(entries: list[Entry]) -> int:
    return sum(entry.size for entry in entries)


def _each_once(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs of which no part was in one before."""
    gone, came = set(), set()
    for source, entry in pairs:
        if source.path not in gone and entry.path not in came:
            gone.add(source.path)
            came.add(entry.path)
            yield source, entry


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]
