"""Sources of snapshots as people send them, made in memory."""

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, BinaryIO, cast

from django.conf import settings

from computes.runner.staging import Objects
from runs.snapshots import Intake, Limits, Manifest, Store, read_upload

LIMITS = Limits(max_bytes=8 * 1024 * 1024, max_files=2000)
Files = Mapping[str, bytes]
FILES: Files = {
    "train.py": b"print('hello')\n",
    "data/empty": b"",
    "data/deep/er/digits.csv": b"1,2\n" * 500,
    "odd names/café — \U0001f600 'a\"b;$(x)`y`.txt": b"odd",
    "two\nlines.txt": b"a newline",
    # One file each where case and the spelling of accents make a difference.
    "Train.py": b"case",
    "caf\u00e9": b"composed",
    "cafe\u0301": b"decomposed",
    "-rf": b"a leading dash",
    "NUL.txt": b"a device elsewhere",
    "\U0001f600" * 63 + "abc": b"255 bytes",
}


def read(
    store: Store,
    data: bytes | io.RawIOBase,
    name: str = "source",
    limits: Limits = LIMITS,
) -> Intake:
    """Read an upload, bytes from the kind of file that a request's body lies in."""
    stream = data if isinstance(data, io.RawIOBase) else _body(data)
    with stream:
        return read_upload(cast("BinaryIO", stream), store, limits, name=name)


def _body(data: bytes) -> IO[bytes]:
    body = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - the caller closes it
    if len(data) > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
        body.rollover()
    body.write(data)
    body.seek(0)
    return body


def left_behind(folder: Path) -> list[Path]:
    """What the writers of a store have not taken away again."""
    return list((folder / "new").glob("*"))


def contents(intake: Intake, store: Store) -> dict[str, bytes]:
    """The files of a snapshot, as the store has them."""
    return {
        entry.path: store.path(entry.sha256).read_bytes()
        for entry in intake.manifest.files
    }


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    return zip_of(
        [(zipfile.ZipInfo(name), data) for name, data in files.items()], method
    )


def zip_of(
    members: Iterable[tuple[zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, data in members:
            archive.writestr(info, data, compress_type=method)
    return out.getvalue()


def tarred(files: Files, packing: str = "") -> bytes:
    """`packing` is "", "gz", "bz2" or "xz"."""
    return tar_of([(member(name), data) for name, data in files.items()], packing)


def tar_of(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], packing: str = ""
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{packing}") as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def write(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


class Zeros(io.RawIOBase):
    """A file of so many zeros that it is on no disk."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        left = self._size - self._position
        taken = left if size < 0 else min(size, left)
        self._position += taken
        return bytes(taken)

    def seek(self, target: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = start[whence] + target
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def lay_out(manifest: Manifest, store: Store, folder: Path) -> None:
    """Make a working folder of a snapshot, as the portal's own machine does."""
    objects = Objects(str(store.new_folder.parent))
    objects.lay_out(json.loads(manifest.to_json()), str(folder))
