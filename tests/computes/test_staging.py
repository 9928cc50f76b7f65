"""Working folders out of objects: whole or not at all, whoever is killed meanwhile."""

import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from computes.runner.staging import Lacking, Objects, Spoilt
from runs.snapshots.disk import hold
from tests.computes.objects import contents, keep, source

FILES = {f"d{n % 7}/f{n}.txt": b"%d\n" % n * (n + 1) for n in range(60)}


@pytest.fixture
def store(tmp_path: Path) -> Objects:
    return Objects(str(tmp_path / "objects"))


def entries(store: Objects) -> list[dict[str, object]]:
    return source(Path(store.folder), FILES).entries


def test_a_folder_is_laid_out_as_it_was(store: Objects, tmp_path: Path) -> None:
    store.lay_out(entries(store), str(tmp_path / "work"))
    assert contents(tmp_path / "work") == FILES


def test_what_was_laid_out_is_a_copy(store: Objects, tmp_path: Path) -> None:
    store.lay_out(entries(store), str(tmp_path / "work"))
    (tmp_path / "work" / "d0/f0.txt").write_bytes(b"changed by a script")
    store.lay_out(entries(store), str(tmp_path / "again"))
    assert contents(tmp_path / "again") == FILES


def test_modes_links_and_empty_folders_come_back(
    store: Objects, tmp_path: Path
) -> None:
    made = source(
        Path(store.folder),
        {},
        {"path": "a/link", "kind": "link", "target": "../run.sh"},
        {"path": "none/deep", "kind": "folder"},
        {"path": "run.sh", "executable": True, "size": 3, "sha256": ""},
        {"path": "empty", "sha256": keep(Path(store.folder), b"")},
    )
    made.entries[2]["sha256"] = keep(Path(store.folder), b"#!\n")
    store.lay_out(made.entries, str(tmp_path / "work"))
    work = tmp_path / "work"
    assert os.access(work / "run.sh", os.X_OK)
    assert not os.access(work / "empty", os.X_OK)
    assert (work / "a/link").readlink() == Path("../run.sh")
    assert (work / "none/deep").is_dir()
    assert stat.S_IMODE(work.stat().st_mode) == 0o700


def test_a_folder_that_is_there_is_left_alone(store: Objects, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/mine").write_bytes(b"1")
    store.lay_out(entries(store), str(tmp_path / "work"))
    assert contents(tmp_path / "work") == {"mine": b"1"}


@pytest.mark.parametrize("damage", ["absent", "cut", "other"])
def test_a_damaged_object_is_told_and_nothing_is_left(
    store: Objects, tmp_path: Path, damage: str
) -> None:
    made = entries(store)
    sha256 = str(made[30]["sha256"])
    path = Path(store.path(sha256))
    match damage:
        case "absent":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-1])
        case "other":
            path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(Lacking, match=sha256):
        store.lay_out(made, str(tmp_path / "work"))
    assert not list(tmp_path.glob("work*"))
    # Set aside, so that it counts as lacking, and whoever sends it mends the store.
    assert store.lacking([(sha256, int(str(made[30]["size"])))]) == [sha256]


def test_one_who_is_killed_leaves_all_or_nothing(
    store: Objects, tmp_path: Path
) -> None:
    program = (
        "import json, sys\n"
        "from computes.runner.staging import Objects\n"
        "copy = Objects._copy\n"
        "def copy_and_wait(*file):\n"
        "    copy(*file)\n"
        "    print('x', flush=True)\n"
        "    sys.stdin.readline()\n"
        "Objects._copy = copy_and_wait\n"
        "entries = json.loads(sys.stdin.readline())\n"
        "Objects(sys.argv[1]).lay_out(entries, sys.argv[2])\n"
    )
    work = tmp_path / "jobs" / "work"
    made = entries(store)
    for files in (1, 17, 59):
        with subprocess.Popen(
            [sys.executable, "-c", program, store.folder, str(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(made).encode() + b"\n")
            process.stdin.flush()
            for _ in range(files):
                assert process.stdout.readline() == b"x\n"
                process.stdin.write(b"\n")
                process.stdin.flush()
            process.send_signal(signal.SIGKILL)
        assert not work.exists() or contents(work) == FILES
    store.lay_out(made, str(work))
    assert contents(work) == FILES
    assert [each.name for each in work.parent.iterdir()] == ["work"]


def test_two_at_once_make_one_folder(store: Objects, tmp_path: Path) -> None:
    made = entries(store)
    threads = [
        threading.Thread(target=store.lay_out, args=(made, str(tmp_path / "work")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(tmp_path / "work") == FILES


def test_who_comes_second_waits_and_then_goes_on(
    store: Objects, tmp_path: Path
) -> None:
    work = tmp_path / "jobs" / "work"
    work.parent.mkdir()
    first = os.open(work.parent, os.O_RDONLY)
    hold(first)
    second = threading.Thread(target=store.lay_out, args=(entries(store), str(work)))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert not work.exists()
    os.close(first)
    second.join(20)
    assert contents(work) == FILES


def archive(*members: tuple[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    packed.seek(0)
    return packed


def named(data: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(data).hexdigest(), data


def test_what_arrives_is_kept_under_its_hash(store: Objects) -> None:
    large = os.urandom(3_000_000)
    assert store.receive(archive(named(b"1"), named(large), named(b""))) == 3
    for name, data in (named(b"1"), named(large), named(b"")):
        assert Path(store.path(name)).read_bytes() == data
        assert store.lacking([(name, len(data))]) == []


@pytest.mark.parametrize(
    "member",
    [(named(b"1")[0], b"2"), ("../" + "a" * 61, b"1"), ("A" * 64, b"1"), ("", b"1")],
)
def test_what_is_not_what_its_name_says_is_refused(
    store: Objects, tmp_path: Path, member: tuple[str, bytes]
) -> None:
    with pytest.raises(Spoilt):
        store.receive(archive(named(b"first"), member))
    assert set(contents(tmp_path).values()) == {b"first"}


def test_an_archive_that_is_cut_leaves_whole_objects_only(
    store: Objects, tmp_path: Path
) -> None:
    whole = archive(named(b"first"), named(os.urandom(100_000))).getvalue()
    for size in (10, 600, 1100, 1536, 50_000):
        # One that ends between two files can't be told from a shorter one.
        with suppress(tarfile.TarError, Spoilt):
            store.receive(io.BytesIO(whole[:size]))
        assert set(contents(tmp_path).values()) <= {b"first"}


def test_what_was_not_used_for_long_is_swept(store: Objects, tmp_path: Path) -> None:
    used, idle = (keep(Path(store.folder), data) for data in (b"used", b"idle"))
    for sha256 in (used, idle):
        os.utime(store.path(sha256), (time.time() - 100_000,) * 2)
    # Asked for, it counts as used.
    assert store.lacking([(used, 4)]) == []
    assert store.sweep(50_000) == {"objects": 1, "bytes": 4}
    assert set(contents(tmp_path).values()) == {b"used"}
