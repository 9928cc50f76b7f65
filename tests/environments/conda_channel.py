"""A channel of conda that the tests make, in a folder."""

import asyncio
import hashlib
import io
import json
import platform
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rattler.index import index_fs

PYTHON = platform.python_version()
_SITE = f"lib/python{'.'.join(PYTHON.split('.')[:2])}/site-packages"


class CondaChannel:
    """Packages for any platform; a Python among them, which is the one that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "noarch").mkdir(parents=True)
        self.add("python", PYTHON, _python())

    @property
    def address(self) -> str:
        return f"file://{self.folder}"

    def add(
        self,
        name: str,
        version: str,
        files: Mapping[str, bytes | Path],
        needs: Sequence[str] = (),
    ) -> Path:
        """A package; a path among its files is what a link leads to."""
        facts = {
            "info/index.json": {
                "name": name,
                "version": version,
                "build": "0",
                "build_number": 0,
                "depends": [*needs],
                "noarch": "generic",
                "subdir": "noarch",
            },
            "info/paths.json": {
                "paths_version": 1,
                "paths": [_path_entry(name, what) for name, what in files.items()],
            },
        }
        texts = {name: json.dumps(value).encode() for name, value in facts.items()}
        archive = self.folder / "noarch" / f"{name}-{version}-0.tar.bz2"
        with tarfile.open(archive, "w:bz2") as out:
            for path, what in {**texts, **files}.items():
                _add(out, path, what)
        return archive

    def add_module(self, name: str, version: str, needs: Sequence[str] = ()) -> Path:
        """A module for Python that tells its version."""
        info = f"{_SITE}/{name}-{version}.dist-info"
        files = {
            f"{_SITE}/{name}.py": f"VERSION = {version!r}\n".encode(),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
            f"Version: {version}\n".encode(),
            f"{info}/INSTALLER": b"conda",
        }
        return self.add(name, version, files, ["python", *needs])

    def index(self) -> None:
        asyncio.run(index_fs(self.folder))


def _python() -> dict[str, bytes | Path]:
    """A Python that takes the folder that it is installed in for its own."""
    own = Path(sys.base_prefix, "bin", "python3")
    config = f"home = {own.parent}\ninclude-system-site-packages = false\n"
    return {"bin/python": own, "pyvenv.cfg": config.encode()}


def _path_entry(path: str, what: bytes | Path) -> dict[str, Any]:
    if isinstance(what, Path):
        return {"_path": path, "path_type": "softlink"}
    digest = hashlib.sha256(what).hexdigest()
    facts = {"sha256": digest, "size_in_bytes": len(what)}
    return {"_path": path, "path_type": "hardlink", **facts}


def _add(archive: tarfile.TarFile, path: str, what: bytes | Path) -> None:
    member = tarfile.TarInfo(path)
    if isinstance(what, Path):
        member.type, member.linkname = tarfile.SYMTYPE, str(what)
        archive.addfile(member)
        return
    member.size, member.mode = len(what), 0o644
    archive.addfile(member, io.BytesIO(what))
