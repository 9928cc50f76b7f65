"""Sources for hosts, and the object folders that they come from."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from computes.hosts import Source
from computes.runner.staging import Objects


def keep(objects: Path, data: bytes) -> str:
    """Put an object into a folder of them."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = Path(Objects(str(objects)).path(sha256))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return sha256


def source(objects: Path, files: Mapping[str, bytes], *more: dict[str, Any]) -> Source:
    """A source of these files, with `more` entries as a manifest has them."""
    entries: list[dict[str, Any]] = [
        {"path": path, "size": len(data), "sha256": keep(objects, data)}
        for path, data in files.items()
    ]
    return Source(entries=[*entries, *more], objects=objects)


def contents(folder: Path) -> dict[str, bytes]:
    """path → bytes of every file below `folder`."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
