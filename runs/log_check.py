"""Compares the portal's copy of a log with what the runner said of the original."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runs.mirror import last_word, log_path


@dataclass(frozen=True, kw_only=True)
class LogCheck:
    """`sha256` and `expected_bytes` are the runner's; `bytes` is what the copy has."""

    bytes: int
    expected_bytes: int
    sha256: str
    is_same: bool


def check_log(run_id: str) -> LogCheck | None:
    """None as long as the runner has not said its last word."""
    word = last_word(run_id)
    if word is None:
        return None
    path = log_path(run_id)
    size, digest = 0, hashlib.sha256().hexdigest()
    if path.exists():
        found = path.stat()
        size, digest = found.st_size, _digest(path, found.st_size, found.st_mtime_ns)
    return LogCheck(
        bytes=size,
        expected_bytes=word.log.bytes,
        sha256=word.log.sha256,
        is_same=(size, digest) == (word.log.bytes, word.log.sha256),
    )


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    """Read once for each content of the file, however often it is asked for."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
