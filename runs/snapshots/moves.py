"""Which of the files that are new are those that are gone, at another place."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from runs.snapshots.manifest import Entry

Pair = tuple[Entry, Entry]
# As git does it, contents are compared by their lines, long ones in pieces.
_PIECE = re.compile(rb"[^\n]{0,63}\n|[^\n]{1,64}")
# How much of the larger of two files must be in the other: git's own threshold.
_ALIKE = 0.5
_LARGEST = 1024 * 1024
# So much is read and compared; beyond, files that moved are told as gone and new.
_MOST_BYTES = 16 * 1024 * 1024
_MOST_FILES = 2000
# A piece that more files have says nothing about where one came from.
_COMMON = 20
# So many files that seem alike are compared with each new one.
_MOST_ALIKE = 10


def moves(removed: list[Entry], added: list[Entry]) -> list[Pair]:
    """Pairs of equal content; of several, those of equal names come first."""
    by_content: dict[str, list[Entry]] = defaultdict(list)
    for entry in removed:
        # Empty files are alike, and say nothing about where one came from.
        if entry.kind == "file" and entry.size:
            by_content[entry.sha256].append(entry)
    pairs = []
    for entry in added:
        sources = by_content.get(entry.sha256) if entry.sha256 else None
        if sources:
            source = next((s for s in sources if _name(s) == _name(entry)), sources[0])
            sources.remove(source)
            pairs.append((source, entry))
    return pairs


def edited_moves(
    removed: list[Entry], added: list[Entry], read: Callable[[Entry], bytes]
) -> list[Pair]:
    """Pairs of which at least half is the same, the most alike first."""
    removed, added = _bearable(removed), _bearable(added)
    files = [*removed, *added]
    too_many = len(files) > _MOST_FILES
    if not (removed and added) or too_many or _size_of(files) > _MOST_BYTES:
        return []
    pieces = {entry.path: _pieces(read(entry)) for entry in files}
    likely = _likely_sources(removed, added, pieces)
    scored = [
        ((score, _name(source) == _name(entry)), source, entry)
        for entry, sources in zip(added, likely, strict=True)
        for source in sources
        if (score := _alike(pieces[source.path], pieces[entry.path])) >= _ALIKE
    ]
    scored.sort(key=lambda found: found[0], reverse=True)
    return list(_each_once((source, entry) for _, source, entry in scored))


def _bearable(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if e.kind == "file" and 0 < e.size <= _LARGEST]


def _pieces(content: bytes) -> Counter[bytes]:
    return Counter(_PIECE.findall(content))


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
