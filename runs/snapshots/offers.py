"""Manifests that a client offers before it sends any of the files in them."""

import re

import msgspec

from runs.snapshots.errors import SnapshotError
from runs.snapshots.limits import Limits
from runs.snapshots.manifest import Entry, Manifest
from runs.snapshots.names import safe_link, safe_path, show
from runs.snapshots.store import wrong_size

# A longer list of files is cut off, and then can't be read.
LONGEST_OFFER = 64 * 1024 * 1024
SHA256 = re.compile(r"[0-9a-f]{64}")
_decoder = msgspec.json.Decoder(list[Entry])


def read_offer(data: bytes, limits: Limits) -> Manifest:
    """The manifest in `data`, a JSON list of entries that anybody may have written.

    Raises SnapshotError for anything that no source folder could be.
    """
    try:
        entries = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(
            "The list of files can't be read.", "Reload the page and try again."
        ) from error
    limits.check_count(len(entries))
    limits.check_names(sum(len(entry.path) + len(entry.target) for entry in entries))
    size = 0
    sizes: dict[str, int] = {}
    for entry in entries:
        _check(entry)
        size += entry.size
        if size > limits.max_bytes:
            largest = {entry.path: entry.size for entry in entries}
            raise limits.too_large(entry.path, largest)
        if sizes.setdefault(entry.sha256, entry.size) != entry.size:
            raise wrong_size(entry)
    if len({entry.path for entry in entries}) < len(entries):
        raise _odd("A path is listed twice.")
    manifest = Manifest.of(entries)
    if not manifest.files:
        raise SnapshotError("The source holds no files.", "Send one with a script.")
    limits.check_count(manifest.folder_count)
    return manifest


def _check(entry: Entry) -> None:
    if safe_path(entry.path) != entry.path:
        raise _odd(f"“{show(entry.path)}” is an odd way to write a path.")
    match entry:
        case Entry(kind="file", target=""):
            is_right = entry.size >= 0 and bool(SHA256.fullmatch(entry.sha256))
        case Entry(kind="link", size=0, executable=False, sha256=""):
            safe_link(entry.path, entry.target)
            return
        case _:
            is_right = entry == Entry(path=entry.path, kind="folder")
    if not is_right:
        raise _odd(f"“{show(entry.path)}” is not described as it should be.")


def _odd(what: str) -> SnapshotError:
    return SnapshotError(what, "Choose the source once more.")
