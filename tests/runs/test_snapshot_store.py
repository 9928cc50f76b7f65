"""The store and what is laid out from it: whole or not at all."""

import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from runs.snapshots import (
    Manifest,
    SnapshotError,
    Store,
    check_out,
    zip_folder,
    zip_snapshot,
)
from runs.snapshots.disk import hold
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


def test_checking_out_gives_what_was_read(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    check_out(manifest, store, tmp_path / "work")
    assert _files(tmp_path / "work") == FILES


def test_what_was_checked_out_is_a_copy(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    check_out(manifest, store, tmp_path / "work")
    (tmp_path / "work" / "d0/f0.txt").write_bytes(b"changed by a script")
    check_out(manifest, store, tmp_path / "again")
    assert _files(tmp_path / "again") == FILES


def test_modes_links_and_empty_folders_come_back(store: Store, tmp_path: Path) -> None:
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
    check_out(manifest, store, tmp_path / "work")
    work = tmp_path / "work"
    assert os.access(work / "run.sh", os.X_OK)
    assert (work / "a/link").readlink() == Path("../run.sh")
    assert (work / "none").is_dir()
    packed = zipfile.ZipFile(io.BytesIO(b"".join(zip_snapshot(manifest, store))))
    again = read(store, packed.fp.getvalue() if packed.fp else b"")  # type: ignore[attr-defined]
    assert again.manifest == manifest


def test_a_folder_that_is_there_is_left_alone(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    write(tmp_path / "work", {"mine": b"1"})
    check_out(manifest, store, tmp_path / "work")
    assert _files(tmp_path / "work") == {"mine": b"1"}


@pytest.mark.parametrize("damage", ["absent", "cut"])
def test_a_damaged_store_is_said_and_nothing_is_left(
    store: Store, manifest: Manifest, tmp_path: Path, damage: str
) -> None:
    path = store.path(manifest.files[30].sha256)
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotError, match="missing in the portal's store, or it is"):
        check_out(manifest, store, tmp_path / "work")
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("work")]


def test_one_who_is_killed_leaves_all_or_nothing(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    program = (
        "import sys, pathlib\n"
        "from runs.snapshots import Store, checkout\n"
        "copy = checkout._copy\n"
        "def copy_and_wait(*file):\n"
        "    copy(*file)\n"
        "    print('x', flush=True)\n"
        "    sys.stdin.readline()\n"
        "checkout._copy = copy_and_wait\n"
        "store = Store(pathlib.Path(sys.argv[1]))\n"
        "manifest = store.read_manifest(sys.argv[2])\n"
        "checkout.check_out(manifest, store, pathlib.Path(sys.argv[3]))\n"
    )
    work = tmp_path / "jobs" / "work"
    command = [sys.executable, "-c", program, str(tmp_path / "objects")]
    for files in (1, 17, 59):
        with subprocess.Popen(
            [*command, manifest.identity, str(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for _ in range(files):
                assert process.stdout.readline() == b"x\n"
                process.stdin.write(b"\n")
                process.stdin.flush()
            process.send_signal(signal.SIGKILL)
        assert not work.exists() or _files(work) == FILES
    check_out(manifest, store, work)
    assert _files(work) == FILES
    assert [each.name for each in work.parent.iterdir()] == ["work"]


def test_two_at_once_make_one_folder(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    threads = [
        threading.Thread(target=check_out, args=(manifest, store, tmp_path / "work"))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _files(tmp_path / "work") == FILES


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


def test_who_comes_second_waits_and_then_goes_on(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    work = tmp_path / "jobs" / "work"
    work.parent.mkdir()
    first = os.open(work.parent, os.O_RDONLY)
    hold(first)
    second = threading.Thread(target=check_out, args=(manifest, store, work))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert not work.exists()
    os.close(first)
    second.join(20)
    assert _files(work) == FILES


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
