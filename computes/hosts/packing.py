"""Packs contents of the portal's store into a tar stream of a known size."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from computes.hosts.base import DamagedSourceError
from computes.runner.staging import Content, Objects

_BLOCK = 1024 * 1024
_RECORD = tarfile.BLOCKSIZE
_END = bytes(2 * _RECORD)


def packed_size(contents: Iterable[Content]) -> int:
    """How many bytes `pack` will yield."""
    return len(_END) + sum(_RECORD + size + _padding(size) for _, size in contents)


def pack(objects: Path, contents: Iterable[Content]) -> Iterator[bytes]:
    """A tar archive of objects, each under its hash.

    Raises DamagedSourceError where the store has another size of one.
    """
    store = Objects(str(objects))
    for sha256, size in contents:
        header = tarfile.TarInfo(sha256)
        header.size = size
        yield header.tobuf(tarfile.GNU_FORMAT)
        yield from _exactly(Path(store.path(sha256)), size)
        yield bytes(_padding(size))
    yield _END


def _exactly(path: Path, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while size and (block := file.read(min(size, _BLOCK))):
                size -= len(block)
                yield block
    except FileNotFoundError:
        pass
    if size:
        raise DamagedSourceError


def _padding(size: int) -> int:
    return -size % _RECORD
