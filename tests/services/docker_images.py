"""Images for the tests of Docker, made of files of this machine: no registry is asked.

`PYTHON` has the interpreter that runs the tests, without packages, at its own path and
as `python3`; `BARE` has a shell and the usual tools, and no Python.
"""

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import docker

PYTHON, BARE = "aml-tests/python:1", "aml-tests/bare:1"
_STDLIB = Path(sysconfig.get_path("stdlib"))
_LEFT_OUT = {"site-packages", "dist-packages", "test", "__pycache__", "idlelib"}
# What packages in the mounted folder of another Python expect of a system.
_LIBRARIES = (
    *("libdl.so.2", "libgcc_s.so.1", "libpthread.so.0", "librt.so.1"),
    *("libstdc++.so.6", "libutil.so.1", "libz.so.1"),
)


def load_images(client: docker.DockerClient, *names: str) -> None:
    """Put both images into an engine, or those that are named."""
    for name in names or _MADE:
        repository, tag = name.split(":")
        settings = ["ENV PATH=/usr/local/bin:/usr/bin:/bin"]
        client.api.import_image_from_data(
            _MADE[name](), repository, tag, changes=settings
        )


def build(client: docker.DockerClient, dockerfile: str, **options: Any) -> str:
    """Have an image built, as anybody may; its id."""
    file = io.BytesIO(dockerfile.encode())
    image, _ = client.images.build(fileobj=file, rm=True, **options)
    return str(image.id)


def load_foreign(client: docker.DockerClient, processor: str) -> str:
    """Put an image into an engine whose programs are for another processor; its name.

    It is made as `docker save` writes one, since nothing else says for what it is.
    """
    layer, name = io.BytesIO(), "aml-tests/foreign:1"
    program = b"\x7fELF\x02\x01\x01" + bytes(57)
    with tarfile.TarFile(fileobj=layer, mode="w") as archive:
        _add(archive, "usr/bin/python3", program, mode=0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    facts = {
        "architecture": processor,
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = {"Config": "c.json", "RepoTags": [name], "Layers": ["layer.tar"]}
    saved = io.BytesIO()
    with tarfile.TarFile(fileobj=saved, mode="w") as archive:
        _add(archive, "layer.tar", layer.getvalue())
        _add(archive, "c.json", json.dumps(facts).encode())
        _add(archive, "manifest.json", json.dumps([manifest]).encode())
    client.images.load(saved.getvalue())
    return name


def _add(
    archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _bare() -> bytes:
    with _Archive() as archive:
        _add_shell(archive)
    return archive.content()


@cache
def _python() -> bytes:
    program = Path(sys.executable).resolve()
    with _Archive() as archive:
        _add_shell(archive)
        archive.add(program)
        archive.link("/usr/local/bin/python3", program)
        # By these names virtual environments point to it.
        for name in ("python", "python3"):
            archive.link(str(program.with_name(name)), program.name)
        archive.add(_STDLIB)
        for library in sorted(_libraries_of(program)):
            archive.add(library)
    return archive.content()


class _Archive:
    """A tar of files of this machine, where each is at the path that it has here."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", dereference=True)

    def add(self, path: Path, at: str = "") -> None:
        self._tar.add(path, (at or str(path)).lstrip("/"), filter=_wanted)

    def link(self, path: str, target: str | Path) -> None:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.linkname = tarfile.SYMTYPE, str(target)
        self._tar.addfile(entry)

    def folder(self, path: str, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def content(self) -> bytes:
        return self._file.getvalue()

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    return None if name in _LEFT_OUT or name.endswith(".a") else entry


def _add_shell(archive: _Archive) -> None:
    program = shutil.which("busybox")
    assert program, "The images need busybox-static: run make test-install."
    archive.add(Path(program), "/bin/busybox")
    for tool in ("sh", "sleep", "setsid", "cat", "id"):
        archive.link(f"/bin/{tool}", "busybox")
    archive.folder("/tmp", 0o1777)


def _libraries_of(program: Path) -> Iterator[Path]:
    """The shared libraries that the program and its modules are linked to."""
    modules = [str(path) for path in (_STDLIB / "lib-dynload").glob("*.so")]
    said = subprocess.run(
        ["ldd", str(program), *modules], capture_output=True, text=True
    )
    found = {Path(word) for word in re.findall(r"(/\S+) \(0x", said.stdout)}
    system = next(path.parent for path in found if path.name == "libc.so.6")
    found |= {system / name for name in _LIBRARIES}
    yield from (path for path in found if path.exists())


_MADE: dict[str, Callable[[], bytes]] = {BARE: _bare, PYTHON: _python}
