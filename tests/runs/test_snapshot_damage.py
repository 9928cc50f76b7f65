"""Archives that were damaged on their way: refused, or read as they were made."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runs.snapshots import SnapshotError, Store
from tests.runs.sources import (
    FILES,
    contents,
    left_behind,
    member,
    read,
    tar_of,
    tarred,
    zipped,
)

SOURCE = {**FILES, "noise.bin": random.Random(1).randbytes(20_000)}
ARCHIVES = {
    "tar": tarred(SOURCE),
    "tar.gz": tarred(SOURCE, "gz"),
    "tar.bz2": tarred(SOURCE, "bz2"),
    "tar.xz": tarred(SOURCE, "xz"),
    "zip": zipped(SOURCE),
    "stored.zip": zipped(SOURCE, zipfile.ZIP_STORED),
}
CASES = 50


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    yield Store(tmp_path / "objects")
    assert not left_behind(tmp_path / "objects")


def read_or_refused(store: Store, data: bytes) -> dict[str, bytes] | None:
    """What was read, None if it was refused; whatever else happens is a bug."""
    try:
        return contents(read(store, data, name="source.zip"), store)
    except SnapshotError as error:
        assert error.message.endswith(".")
        assert error.advice
        return None


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_was_cut_off_is_refused(store: Store, kind: str) -> None:
    chance = random.Random(kind)
    data = ARCHIVES[kind]
    # After its end, a plain tar has only zeros that fill up a block.
    whole = len(data.rstrip(b"\0")) if kind == "tar" else len(data)
    for _ in range(CASES):
        assert read_or_refused(store, data[: chance.randrange(1, whole)]) is None


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz", "zip", "stored.zip"])
def test_no_changed_byte_gets_through_where_there_is_a_checksum(
    store: Store, kind: str
) -> None:
    chance = random.Random(kind)
    for _ in range(CASES):
        data = bytearray(ARCHIVES[kind])
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        found = read_or_refused(store, bytes(data))
        # The names in a zip archive, and what some are, have none.
        assert found is None or set(found.values()) <= set(SOURCE.values())


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_of_many_damages_is_refused_or_read(store: Store, kind: str) -> None:
    chance = random.Random(kind)
    for _ in range(CASES):
        data = bytearray(ARCHIVES[kind])
        for _ in range(chance.randrange(1, 40)):
            place = chance.randrange(len(data))
            length = chance.choice([1, 1, 2, 8, 300])
            fresh = chance.choice([bytes(length), chance.randbytes(length), b""])
            data[place : place + length] = fresh
        read_or_refused(store, bytes(data))


def test_a_header_that_became_zeros_is_not_the_end(store: Store) -> None:
    data = bytearray(tarred({"a": b"1", "b": b"2", "c": b"3"}))
    data[1024:1536] = bytes(512)
    assert read_or_refused(store, bytes(data)) is None


def test_a_bad_extended_header_is_not_the_end(store: Store) -> None:
    data = bytearray(tarred({"a": b"1", "ü": b"2", "c": b"3"}))
    place = data.index(b"path=")
    data[place - 3 : place] = b"-9 "
    # Some versions of Python pass over it, and name the file in another way.
    found = read_or_refused(store, bytes(data))
    assert found is None or set(found.values()) == {b"1", b"2", b"3"}


def test_an_extended_header_of_nothing_is_refused(store: Store) -> None:
    whole = tarred({"a": b"1", "ü": b"2"})
    end = whole.rindex(b"ustar") - 257
    assert read_or_refused(store, whole[:end] + bytes(10_240)) is None


def test_two_archives_one_after_the_other_are_refused(store: Store) -> None:
    both = tarred({"a": b"1"}) + tarred({"b": b"2"})
    assert read_or_refused(store, both) is None
    assert read_or_refused(store, gzip.compress(both)) is None


def test_packed_pieces_are_one_archive(store: Store) -> None:
    """As parallel packers make it."""
    data = tarred(SOURCE)
    for pack in (gzip.compress, bz2.compress):
        pieces = pack(data[:5000]) + pack(data[5000:])
        assert read_or_refused(store, pieces) == SOURCE


def test_a_wrong_checksum_of_what_is_packed_is_refused(store: Store) -> None:
    """It comes after all that is needed, and must be looked at all the same."""
    data = bytearray(tarred(SOURCE, "gz"))
    data[-8] ^= 1
    assert read_or_refused(store, bytes(data)) is None


def test_names_for_all_members_take_no_memory(store: Store) -> None:
    """Headers for all that follows may come again and again, each with new words."""
    out = io.BytesIO()
    for number in range(40):
        words = {f"word{number}": "x" * 500_000}
        head = tarfile.TarInfo.create_pax_global_header(words)
        out.write(head + tarred({f"f{number}": b"1"})[:1024])
    out.write(bytes(1024))
    data = out.getvalue()
    tracemalloc.start()
    try:
        assert len(read(store, data).manifest.files) == 40
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
def test_an_archive_without_its_end_is_refused(store: Store, packing: str) -> None:
    whole = tar_of([(member("a"), b"1"), (member("b"), b"2")])
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
    }
    pack = packers.get(packing, bytes)
    for size in (1024, 1536, 2000):
        assert read_or_refused(store, pack(whole[:size])) is None
