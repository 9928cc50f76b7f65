"""What differs between two snapshots."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.moves import edited_moves, moves, without

Kind = Literal["added", "removed", "changed", "moved"]


class Change(NamedTuple):
    """What became of one path; `before` is None for a new one, `after` for one gone."""

    before: Entry | None
    after: Entry | None

    @property
    def kind(self) -> Kind:
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "changed" if self.before.path == self.after.path else "moved"

    @property
    def entry(self) -> Entry:
        """The newer of the two."""
        entry = self.after or self.before
        assert entry is not None
        return entry


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Paths in order; a file that moved, edited or not, is in `renamed`."""

    added: list[Entry] = field(default_factory=list)
    removed: list[Entry] = field(default_factory=list)
    changed: list[tuple[Entry, Entry]] = field(default_factory=list)
    renamed: list[tuple[Entry, Entry]] = field(default_factory=list)
    same: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.renamed)

    @cached_property
    def all(self) -> list[Change]:
        """Each of them by its newer path."""
        found = [
            *(Change(None, entry) for entry in self.added),
            *(Change(entry, None) for entry in self.removed),
            *(Change(*pair) for pair in [*self.changed, *self.renamed]),
        ]
        return sorted(found, key=lambda change: change.entry.path)


def changes(
    before: Manifest,
    after: Manifest,
    *,
    read: Callable[[Entry], bytes] | None = None,
) -> Changes:
    """Compare two manifests.

    With `read`, which gives the content of a file, those are found too that were
    edited when they moved.
    """
    old = {entry.path: entry for entry in before.entries}
    new = {entry.path: entry for entry in after.entries}
    both = [(old[path], new[path]) for path in new if path in old]
    changed = [pair for pair in both if pair[0] != pair[1]]
    added = [entry for path, entry in new.items() if path not in old]
    removed = [entry for path, entry in old.items() if path not in new]
    renamed = moves(removed, added)
    if read:
        renamed += edited_moves(*without(removed, added, renamed), read)
    removed, added = without(removed, added, renamed)
    return Changes(
        added=added,
        removed=removed,
        changed=changed,
        renamed=sorted(renamed, key=lambda pair: pair[1].path),
        same=len(both) - len(changed),
    )
