"""Packages as source, whose own build does as a test says."""

import io
import tarfile
from pathlib import Path

# Without a word on what else it needs, so that nothing has to be fetched.
_PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# What is needed is told by who builds it, unless it is here.
_STATIC = """
[project]
name = "{name}"
version = "1.0"
"""
_BACKEND = """
def build_wheel(*_):
    raise RuntimeError({words!r})
"""

# That of `made`, which needs `tiny`; it writes where it is built into `told`.
BUILDS = """
import os, zipfile

def build_wheel(folder, *_):
    open({told!r}, "w").write(os.getcwd())
    name, info = "made-1.0-py3-none-any.whl", "made-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("made.py", "")
        about = ["Metadata-Version: 2.1", "Name: made", "Version: 1.0"]
        about.append("Requires-Dist: tiny")
        wheel.writestr(info + "/METADATA", chr(10).join(about))
        about = ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any"]
        wheel.writestr(info + "/WHEEL", chr(10).join(about))
        wheel.writestr(info + "/RECORD", "")
    return name
"""


def broken_source(folder: Path, name: str, words: str) -> Path:
    """An archive of source that fails to build, with these words."""
    return source(folder, name, _BACKEND.format(words=words))


def source(folder: Path, name: str, backend: str, *, static: bool = True) -> Path:
    """An archive of source that is built as `backend` says.

    If it is not `static`, it has to be built to know what else it needs.
    """
    top = f"{name}-1.0"
    files = source_files(name, backend, static=static)
    if static:
        files["PKG-INFO"] = f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n"
    archive = folder / f"{top}.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(text.encode())
            out.addfile(member, io.BytesIO(text.encode()))
    return archive


def source_files(name: str, backend: str, *, static: bool = True) -> dict[str, str]:
    """The same as files, such as of a repository."""
    project = _PROJECT + (_STATIC.format(name=name) if static else "")
    return {"pyproject.toml": project, "backend.py": backend}
