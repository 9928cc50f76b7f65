"""The one gate for names that come from outside."""

import re

from runs.snapshots.errors import SnapshotError

_LONGEST_PART = 255
# Half of the system's limit: the path of a working folder comes before it.
_LONGEST_PATH = 2048
# One byte less than the system's limit, which counts the zero at the end.
_LONGEST_TARGET = 4095
_MOST_SHOWN = 100
# What most paths are like; they need no closer look.
_PLAIN = re.compile(r"(?:[\w-][\w.-]{0,99}/){0,19}[\w-][\w.-]{0,99}", re.ASCII)
_ADVICE = "Rename it, or leave it out."


def safe_path(name: str) -> str:
    """`name` as a path below the snapshot's top; SnapshotError for any other name."""
    if _PLAIN.fullmatch(name):
        return name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/"):
        raise from_root(name)
    if ".." in parts:
        raise SnapshotError(f"“{show(name)}” leads out of the folder.", _ADVICE)
    if not parts or "\0" in name:
        raise SnapshotError(f"“{show(name)}” is no name for a file.", _ADVICE)
    _check_text(name)
    path = "/".join(parts)
    longest = max(len(part.encode()) for part in parts)
    if longest > _LONGEST_PART or len(path.encode()) > _LONGEST_PATH:
        raise SnapshotError(
            f"“{show(name)}” is longer than a file name can be.", _ADVICE
        )
    return path


def safe_link(path: str, target: str) -> str:
    """The target of a link at `path`, if it stays inside the snapshot.

    Only a target's beginning may go up. There, all is real folders, and further down a
    link in it leads to the inside too; after the name of a link, ".." could lead
    anywhere.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = parts.count("..")
    goes_out = ups > path.count("/") or ".." in parts[ups:]
    if goes_out or target.startswith("/") or "\0" in target or not target:
        raise SnapshotError(
            f"The link “{show(path)}” leads out of the folder.",
            "Replace it by what it names, or leave it out.",
        )
    _check_text(target)
    if len(target.encode()) > _LONGEST_TARGET:
        raise SnapshotError(
            f"The link “{show(path)}” has a target longer than a path can be.", _ADVICE
        )
    return target


def is_top(name: str) -> bool:
    """Does it name the folder that all is in, as "./" does?"""
    return all(part in ("", ".") for part in name.split("/"))


def show(name: str) -> str:
    """`name` for a sentence: not too long, and nothing in it that can't be seen."""
    cut = name if len(name) <= _MOST_SHOWN else f"{name[: _MOST_SHOWN - 1]}…"
    return "".join(
        each if each.isprintable() else ascii(each)[1:-1] for each in cut
    )  # A lone surrogate, a byte that is no text, is not printable either.


def from_root(name: str) -> SnapshotError:
    return SnapshotError(f"“{show(name)}” is a path from the root.", _ADVICE)


def _check_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SnapshotError(f"“{show(name)}” is no text in UTF-8.", _ADVICE) from error
