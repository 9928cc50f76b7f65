"""How much a snapshot may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nlargest

from aml_portal.sizes import spell_size
from runs.snapshots.errors import SnapshotError
from runs.snapshots.names import show

# An archive may hold this many times what a snapshot may, as most may be left out.
_SPARE = 4
# Characters of a path, on average: enough for any real source, and little to keep.
_LONG_NAME = 400
_SHOWN = 10
ADVICE = "Leave out what the script does not need."


@dataclass(frozen=True, kw_only=True)
class Limits:
    max_bytes: int
    max_files: int

    @property
    def most_seen_bytes(self) -> int:
        return _SPARE * self.max_bytes

    def check_seen(self, count: int) -> None:
        """Raises SnapshotError if a source has too many, even if most are unwanted."""
        if count > _SPARE * self.max_files:
            raise too_many(_SPARE * self.max_files)

    def check_count(self, count: int) -> None:
        """Raises SnapshotError for more files, or folders, than a snapshot may have."""
        if count > self.max_files:
            raise too_many(self.max_files)

    def check_names(self, characters: int) -> None:
        """All names are kept in memory; there is room for a thousand at least."""
        if characters > max(self.max_files, 1000) * _LONG_NAME:
            raise SnapshotError("The names in the source are too long.", ADVICE)

    def too_large(self, path: str, sizes: Mapping[str, int]) -> SnapshotError:
        """`sizes` are those of the files that are known so far, by path."""
        largest = nlargest(_SHOWN, sizes, key=lambda name: sizes[name])
        names = (f"{show(name)} ({spell_size(sizes[name])})" for name in largest)
        return SnapshotError(
            f"The source is larger than {spell_size(self.max_bytes)}, the most that a"
            f" snapshot may hold (at “{show(path)}”).",
            f"{ADVICE} The largest: {', '.join(names)}.",
        )


def too_many(most: int) -> SnapshotError:
    return SnapshotError(
        f"The source has more than {most:,} files or folders, too many for a snapshot.",
        ADVICE,
    )
