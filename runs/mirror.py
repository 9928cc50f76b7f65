"""The portal's copy of a run's job folder: where it is, and reading it.

runs/mirror_writer.py is the only writer.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.http import Http404

from runs.reports import LastWord, read_last_word
from runs.snapshots.disk import flush_tree

LOG = "logs/std_log.txt"
EVENTS = "events.jsonl"
RESOURCES = "resources.jsonl"
# Files that only grow; each is mirrored by byte offset.
STREAMS = (LOG, EVENTS, RESOURCES)
EXIT = "exit.json"
# What the script wrote under these folders of its working folder is kept.
COLLECTED = ("outputs", "logs")


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that the script wrote; `name` begins with "outputs/" or "logs/".

    A name may hold surrogate escapes, where the script's own is no UTF-8.
    """

    name: str
    size: int
    modified: datetime


def mirror_folder(run_id: str) -> Path:
    folder: Path = settings.RUNS_FOLDER / run_id
    return folder


def log_path(run_id: str) -> Path:
    """The mirrored log; absent until the script has printed something."""
    return mirror_folder(run_id) / LOG


def last_word(run_id: str) -> LastWord | None:
    """What the runner said at the end; None before."""
    try:
        content = (mirror_folder(run_id) / EXIT).read_bytes()
    except FileNotFoundError:
        return None
    return read_last_word(content)


def output_files(run_id: str) -> list[OutputFile]:
    """All files that the script left, by name."""
    return sorted(_walk(files_folder(run_id)), key=lambda file: file.name)


def files_folder(run_id: str) -> Path:
    return mirror_folder(run_id) / "files"


def _walk(folder: Path) -> Iterator[OutputFile]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                facts = path.lstat()
            except FileNotFoundError:
                continue  # The script has removed it, and the follower just now.
            yield OutputFile(
                name=path.relative_to(folder).as_posix(),
                size=facts.st_size,
                modified=datetime.fromtimestamp(facts.st_mtime, UTC),
            )


def output_path(run_id: str, name: str) -> Path:
    """The mirrored file of an output; 404 for every other name."""
    path = safe_output(files_folder(run_id), name)
    if path is None or path.is_symlink() or not path.is_file():
        raise Http404(f"The run has no output named {name!r}.")
    return path


def safe_output(folder: Path, name: str) -> Path | None:
    """Where the output `name` lies below `folder`; None for a name that is none."""
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    if not plain or len(parts) < 2 or parts[0] not in COLLECTED:
        return None
    return folder.joinpath(*parts)


def bring_to_disk(run_id: str) -> None:
    """Have the whole mirror safe from a power cut, before its original is removed."""
    folder = mirror_folder(run_id)
    if folder.exists():
        flush_tree(folder)


def remove(run_id: str) -> None:
    shutil.rmtree(mirror_folder(run_id), ignore_errors=True)
