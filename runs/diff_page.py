"""What the page of a diff shows, put together for its templates."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.http import Http404

from runs.diff_address import DiffAddress
from runs.diff_drawing import Drawn, draw, draw_gap
from runs.diff_lines import MOST_LINES, Gap, Line, Part
from runs.diff_notes import Side, notes_on, sides_of
from runs.file_names import in_query, printable
from runs.snapshot_changes import read_entry, snapshot_changes
from runs.snapshots.changes import Change
from runs.snapshots.diff import FileDiff, Obstacle, compare, uncompared
from runs.snapshots.hunks import CONTEXT

# So much is drawn at once: files, lines, and bytes of the texts, which get colours.
_FIRST_FILES = 20
_FIRST_LINES = 1000
_FIRST_BYTES = 192 * 1024
# So many are listed; a page could not bear all of 50,000.
MOST_LISTED = 500
# So many lines of a gap are shown at a time.
_MOST_OF_GAP = 200


@dataclass(kw_only=True)
class FileView:
    """A changed file on the page; `drawn` is None if it is fetched when opened."""

    diff: FileDiff
    at: DiffAddress
    number: int = 0
    drawn: Drawn | None = None

    @property
    def change(self) -> Change:
        return self.diff.change

    @property
    def path(self) -> str:
        return printable(self.change.entry.path)

    @property
    def old_path(self) -> str:
        """Where it was, if that is elsewhere."""
        before = self.change.before
        is_moved = before is not None and self.change.kind == "moved"
        return printable(before.path) if before and is_moved else ""

    @property
    def query(self) -> str:
        return in_query(self.change.entry.path)

    @property
    def is_counted(self) -> bool:
        return not self.diff.obstacle

    @cached_property
    def notes(self) -> list[str]:
        return notes_on(self.diff)

    @cached_property
    def sides(self) -> list[Side]:
        """Both contents, where no lines of them can be shown."""
        return sides_of(self.diff, self.at) if self.diff.obstacle else []


@dataclass(kw_only=True)
class DiffView:
    """The diff of two snapshots, of which the first files are drawn."""

    at: DiffAddress
    files: list[FileView]
    unlisted: int

    @property
    def added(self) -> int:
        return sum(file.diff.added for file in self.files)

    @property
    def removed(self) -> int:
        return sum(file.diff.removed for file in self.files)

    @property
    def count(self) -> int:
        return len(self.files) + self.unlisted

    @property
    def uncounted(self) -> int:
        """Text files of which nobody knows yet how many lines differ."""
        later = (file.diff.obstacle == Obstacle.LATER for file in self.files)
        return sum(later) + self.unlisted


def diff_view(at: DiffAddress, only: str = "") -> DiffView:
    """The whole diff, in which the file `only` is drawn, or the first ones.

    Raises SnapshotError if a snapshot is damaged.
    """
    found = snapshot_changes(at.before, at.after).all
    diffs = compare(found[:MOST_LISTED], read_entry, ignore_space=at.ignore_space)
    files = [FileView(diff=diff, at=at, number=n) for n, diff in enumerate(diffs, 1)]
    first = [file for file in files if file.change.entry.path == only]
    drawn = first or list(_first(files))
    for file, lines in zip(drawn, draw([file.diff for file in drawn]), strict=True):
        file.drawn = lines
    return DiffView(at=at, files=files, unlisted=len(found) - len(files))


def file_view(at: DiffAddress, path: str) -> FileView:
    """One changed file, drawn; Http404 if it is none."""
    [diff] = compare([_change(at, path)], read_entry, ignore_space=at.ignore_space)
    [drawn] = draw([diff])
    return FileView(diff=diff, at=at, drawn=drawn)


def gap_part(at: DiffAddress, path: str, gap: Gap) -> list[Part]:
    """Lines of a gap in the diff of a file, with what is still left of the gap.

    Of a long one those next to the change that is shown: the last ones before the
    first change, else the first ones.
    """
    diff = uncompared(_change(at, path), read_entry)
    rest = max(gap.lines - _MOST_OF_GAP, 0)
    shown = Gap(gap.old, gap.new, gap.lines - rest)
    if gap.old == gap.new == 0:
        shown = Gap(rest, rest, gap.lines - rest)
        left = Gap(0, 0, rest)
    else:
        left = Gap(gap.old + shown.lines, gap.new + shown.lines, rest)
    lines = [] if diff.obstacle else draw_gap(diff, shown)
    if not lines:
        raise Http404("The file has no such lines.")
    return _parts(lines, left, is_first=gap.old == gap.new == 0)


def _parts(lines: list[Line], left: Gap, *, is_first: bool) -> list[Part]:
    if not left.lines:
        return [Part(gap=None, lines=lines)]
    if is_first:
        return [Part(gap=left, lines=lines)]
    return [Part(gap=None, lines=lines), Part(gap=left, lines=[])]


def _change(at: DiffAddress, path: str) -> Change:
    for change in snapshot_changes(at.before, at.after).all:
        if change.entry.path == path:
            return change
    raise Http404("No such file has changed.")


def _first(files: list[FileView]) -> Iterator[FileView]:
    """As many as a page shows at once, but one at least."""
    lines, size = _FIRST_LINES, _FIRST_BYTES
    for file in files[:_FIRST_FILES]:
        if file.diff.obstacle == Obstacle.LATER or min(lines, size) < 0:
            return
        yield file
        lines -= _height(file.diff)
        size -= 0 if file.diff.obstacle else sum(map(len, file.diff.contents))


def _height(diff: FileDiff) -> int:
    around = 2 * CONTEXT * len(diff.blocks)
    return min(diff.added + diff.removed + around, MOST_LINES)
