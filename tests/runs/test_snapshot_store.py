"""The store and what is laid out from it: whole or not at all."""

import io
import os
import stat
import threading
import time
import zipfile
from pathlib import Path

import pytest

from runs.snapshots import (
    Manifest,
    Store,
    zip_folder,
    zip_snapshot,
)
from tests.runs.sources import read, write, zipped

FILES = {f"d{number % 7}/f{number}.txt": os.urandom(3000) for number in range(60)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


@pytest.fixture
def manifest(store: Store) -> Manifest:
    return read(store, zipped(FILES)).manifest


def test_an_equal_content_is_kept_once(store: Store, tmp_path: Path) -> None:
    first = store.put(io.BytesIO(b"the same"))
    before = store.path(first[0]).stat().st_ino
    assert first.is_new
    assert store.put(io.BytesIO(b"the same")) == first._replace(is_new=False)
    assert store.path(first[0]).stat().st_ino == before
    assert not list((tmp_path / "objects" / "new").iterdir())


def test_an_object_that_a_power_cut_left_empty_is_written_again(store: Store) -> None:
    digest = store.put(io.BytesIO(b"content")).sha256
    store.path(digest).write_bytes(b"")
    store.put(io.BytesIO(b"content"))
    assert store.path(digest).read_bytes() == b"content"


def test_objects_are_for_the_portal_alone(store: Store, tmp_path: Path) -> None:
    digest = store.put(io.BytesIO(b"content")).sha256
    assert stat.S_IMODE(store.path(digest).stat().st_mode) == 0o600


def test_many_may_put_the_same_at_once(store: Store) -> None:
    data = os.urandom(3_000_000)
    found: list[str] = []

    def put() -> None:
        found.append(store.put(io.BytesIO(data)).sha256)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert store.path(found[0]).read_bytes() == data


def test_what_a_killed_writer_left_is_removed_a_day_later(
    store: Store, tmp_path: Path
) -> None:
    store.put(io.BytesIO(b"1"))
    old, fresh = (tmp_path / "objects" / "new" / name for name in ("old", "fresh"))
    old.touch()
    fresh.touch()
    os.utime(old, (time.time() - 100_000,) * 2)
    store.tidy()
    assert fresh.exists()
    assert not old.exists()


def test_modes_links_and_empty_folders_come_back(store: Store) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for name, mode, data in (
            ("run.sh", stat.S_IFREG | 0o755, "#!/bin/sh\n"),
            ("a/link", stat.S_IFLNK | 0o777, "../run.sh"),
            ("none/", stat.S_IFDIR | 0o755, ""),
        ):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            out.writestr(info, data)
    manifest = read(store, archive.getvalue()).manifest
    packed = zipfile.ZipFile(io.BytesIO(b"".join(zip_snapshot(manifest, store))))
    again = read(store, packed.fp.getvalue() if packed.fp else b"")  # type: ignore[attr-defined]
    assert again.manifest == manifest


def test_a_zip_of_a_folder_that_changes_is_whole(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "outputs", {"a": b"1", "long": os.urandom(3_000_000), "z": b"2"}
    )
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "two\nlines").write_bytes(b"3")
    os.mkfifo(folder / "pipe")
    pieces = zip_folder(folder)
    first = next(pieces)
    (folder / "z").unlink()
    with zipfile.ZipFile(io.BytesIO(first + b"".join(pieces))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {"a", "long", "two\nlines"}


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
