"""What differs between two snapshots."""

from collections import defaultdict
from dataclasses import dataclass, field

from runs.snapshots.manifest import Entry, Manifest


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Paths in order; a file that only moved is in `renamed`, as before and after."""

    added: list[Entry] = field(default_factory=list)
    removed: list[Entry] = field(default_factory=list)
    changed: list[tuple[Entry, Entry]] = field(default_factory=list)
    renamed: list[tuple[Entry, Entry]] = field(default_factory=list)
    same: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.renamed)


def changes(before: Manifest, after: Manifest) -> Changes:
    old = {entry.path: entry for entry in before.entries}
    new = {entry.path: entry for entry in after.entries}
    both = [(old[path], new[path]) for path in new if path in old]
    changed = [pair for pair in both if pair[0] != pair[1]]
    added = [entry for path, entry in new.items() if path not in old]
    removed = [entry for path, entry in old.items() if path not in new]
    renamed = _moved(removed, added)
    gone = {before.path for before, _ in renamed}
    came = {after.path for _, after in renamed}
    return Changes(
        added=[entry for entry in added if entry.path not in came],
        removed=[entry for entry in removed if entry.path not in gone],
        changed=changed,
        renamed=renamed,
        same=len(both) - len(changed),
    )


def _moved(removed: list[Entry], added: list[Entry]) -> list[tuple[Entry, Entry]]:
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


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]
