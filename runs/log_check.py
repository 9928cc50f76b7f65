"""Compares the portal's copy of a log with what the runner said of the original."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runs.mirror import exit_record, log_path


@dataclass(frozen=True, kw_only=True)
class LogCheck:
    """`sha256` and `expected_bytes` are the runner's; `bytes` is what the copy has."""

    bytes: int
    expected_bytes: int
    sha256: str
    is_same: bool


def check_log(run_id: str) -> LogCheck | None:
    """None as long as the runner has not said its last word."""
    record = exit_record(run_id)
    facts = record.get("log") if record else None
    if not facts:
        return None
    path = log_path(run_id)
    size, digest = 0, hashlib.sha256().hexdigest()
    if path.exists():
        found = path.stat()
        size, digest = found.st_size, _digest(path, found.st_size, found.st_mtime_ns)
    return LogCheck(
        bytes=size,
        expected_bytes=facts["bytes"],
        sha256=facts["sha256"],
        is_same=size == facts["bytes"] and digest == facts["sha256"],
    )


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    """Read once for each content of the file, however often it is asked for."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
