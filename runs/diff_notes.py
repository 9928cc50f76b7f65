"""What is to be told of a changed file beside its lines, or instead of them."""

from dataclasses import dataclass

from django.urls import reverse

from runs.diff_address import DiffAddress
from runs.file_names import in_query, printable
from runs.models import Snapshot
from runs.pictures import is_bearable, picture_of
from runs.previews import HEAD
from runs.snapshots import SnapshotError
from runs.snapshots.changes import Change
from runs.snapshots.diff import FileDiff, Obstacle, line_ends
from runs.snapshots.manifest import Entry
from runs.storage import store


@dataclass(frozen=True, kw_only=True)
class Side:
    """A file of which no lines are shown; `image` is "" unless it is a picture."""

    label: str
    entry: Entry
    download: str
    image: str


_OBSTACLES = {
    Obstacle.BINARY: "The file is not text, so that no lines can be shown.",
    Obstacle.LARGE: "The file is too large to compare its lines here.",
    Obstacle.SLOW: "The lines take too long to compare. Download both to do it.",
    Obstacle.MISSING: "The file is missing in the portal's store, or it is damaged.",
}
_KINDS = {"file": "a file", "link": "a link", "folder": "an empty folder"}


def notes_on(diff: FileDiff) -> list[str]:
    found = [*_about_entries(diff.change), _OBSTACLES.get(diff.obstacle, "")]
    if not diff.obstacle:
        found.append(_about_lines(diff))
    return [note for note in found if note]


def _about_entries(change: Change) -> list[str]:
    before, after = change
    if before is None or after is None:
        return [_what_it_is(change.entry)]
    return [
        f"It was {_named(before)} and is {_named(after)}."
        if before.kind != after.kind
        else _about_targets(before, after),
        _about_mode(before, after),
        "Moved, and otherwise as before." if _is_only_moved(before, after) else "",
    ]


def _what_it_is(entry: Entry) -> str:
    if entry.kind == "file" and entry.size == 0:
        return "The file is empty."
    if entry.kind == "file":
        return "The file is executable." if entry.executable else ""
    return f"It is {_named(entry)}."


def _named(entry: Entry) -> str:
    target = f" to {printable(entry.target)}" if entry.target else ""
    return f"{_KINDS[entry.kind]}{target}"


def _about_targets(before: Entry, after: Entry) -> str:
    if before.target == after.target:
        return ""
    old, new = printable(before.target), printable(after.target)
    return f"The link led to {old} and leads to {new}."


def _about_mode(before: Entry, after: Entry) -> str:
    if before.kind != after.kind or before.executable == after.executable:
        return ""
    if after.executable:
        return "The file is executable now."
    return "The file is not executable any more."


def _is_only_moved(before: Entry, after: Entry) -> bool:
    return before.path != after.path and before.sha256 == after.sha256


def _about_lines(diff: FileDiff) -> str:
    old, new = (line_ends(content) for content in diff.contents)
    if old and new and old != new:
        return f"Line ends: {_spelled(old)} before, {_spelled(new)} now."
    if all(diff.contents) and not diff.blocks:
        return "Only white space differs."
    return ""


def _spelled(ends: str) -> str:
    return "CRLF and LF" if ends == "both" else ends


def sides_of(diff: FileDiff, at: DiffAddress) -> list[Side]:
    """The files before and after, as far as there are any."""
    snapshots = {"Before": at.before, "Now": at.after}
    return [
        _side(label, snapshot, entry)
        for (label, snapshot), entry in zip(snapshots.items(), diff.change, strict=True)
        if entry is not None and entry.kind == "file"
    ]


def _side(label: str, snapshot: Snapshot, entry: Entry) -> Side:
    address = reverse("runs:snapshot-page-file", args=[snapshot.pk])
    download = f"{address}?name={in_query(entry.path)}"
    return Side(
        label=label,
        entry=entry,
        download=download,
        image=f"{download}&as=image" if _is_picture(entry) else "",
    )


def _is_picture(entry: Entry) -> bool:
    try:
        with store().open(entry.sha256) as file:
            picture = picture_of(file.read(HEAD))
    except SnapshotError:
        return False
    return picture is not None and is_bearable(picture, entry.size)
