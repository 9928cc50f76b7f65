"""Sources that become no snapshot: hostile, damaged, too large."""

import os
import random
import socket
import stat
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from runs.snapshots import Limits, SnapshotError, Store, read_folder, safe_path
from tests.runs.sources import (
    FILES,
    LIMITS,
    Zeros,
    member,
    read,
    tar_of,
    tarred,
    write,
    zip_of,
    zipped,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../outside", "leads out of the folder"),
        ("a/../../outside", "leads out of the folder"),
        ("/etc/passwd", "is a path from the root"),
        ("x" * 256, "is longer than a file name can be"),
        ("a/" * 2048 + "x", "is longer than a file name can be"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(
    store: Store, name: str, sentence: str
) -> None:
    for data in (zipped({"ok": b"1", name: b"2"}), tarred({"ok": b"1", name: b"2"})):
        with pytest.raises(SnapshotError, match=sentence):
            read(store, data)


def test_a_name_that_is_no_text_is_refused(store: Store) -> None:
    data = tarred({"ok": b"1", "caf\udce9.txt": b"2"})
    with pytest.raises(SnapshotError, match="is no text in UTF-8"):
        read(store, data)


@given(strategies.text())
def test_a_safe_path_stays_below(name: str) -> None:
    try:
        path = safe_path(name)
    except SnapshotError as error:
        assert error.advice
        return
    assert path == os.path.normpath(path)
    assert not path.startswith(("/", "../"))
    assert "\0" not in path


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "/etc/passwd"),
        ("link", "../outside"),
        ("a/link", "../../outside"),
        ("link", "a/../../outside"),
        ("link", ""),
    ],
)
def test_a_link_out_of_the_folder_is_refused(
    store: Store, path: str, target: str
) -> None:
    info = zipfile.ZipInfo(path)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(SnapshotError, match="leads out of the folder"):
        read(store, zip_of([(info, target.encode())]))
    data = tar_of([(member(path, tarfile.SYMTYPE, linkname=target), b"")])
    with pytest.raises(SnapshotError, match="leads out of the folder"):
        read(store, data)


def test_a_file_behind_a_link_is_refused(store: Store) -> None:
    """The way by which archives write outside: a link, then a file through it."""
    link = member("a", tarfile.SYMTYPE, linkname="b")
    data = tar_of([(member("b/x"), b"1"), (link, b""), (member("a/x"), b"2")])
    with pytest.raises(SnapshotError, match="is a file and a folder at once"):
        read(store, data)


def test_a_file_and_a_folder_at_once_are_refused(store: Store) -> None:
    with pytest.raises(SnapshotError, match="is a file and a folder at once"):
        read(store, zipped({"a": b"1", "a/b": b"2"}))


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_pipes_are_refused(store: Store, kind: bytes) -> None:
    with pytest.raises(SnapshotError, match="is a device, a pipe or a socket"):
        read(store, tar_of([(member("ok"), b"1"), (member("thing", kind), b"")]))


def test_pipes_and_sockets_of_a_folder_are_refused(
    store: Store, tmp_path: Path
) -> None:
    folder = write(tmp_path / "s", {"ok": b"1"})
    os.mkfifo(folder / "pipe")
    with pytest.raises(SnapshotError, match="is a device, a pipe or a socket"):
        read_folder(folder, store, LIMITS)
    (folder / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        with pytest.raises((SnapshotError, OSError)):
            read_folder(folder, store, LIMITS)


def test_a_hard_link_to_nothing_is_refused(store: Store) -> None:
    link = member("copy", tarfile.LNKTYPE, linkname="/etc/shadow")
    with pytest.raises(SnapshotError):
        read(store, tar_of([(link, b"")]))
    link = member("copy", tarfile.LNKTYPE, linkname="absent")
    with pytest.raises(SnapshotError, match="hard link to a file that is not there"):
        read(store, tar_of([(link, b"")]))


def test_a_source_without_files_is_refused(store: Store, tmp_path: Path) -> None:
    for data in (zipped({}), zipped({".git/config": b"1"})):
        with pytest.raises(SnapshotError, match="holds no files"):
            read(store, data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SnapshotError, match="holds no files"):
        read_folder(tmp_path / "empty", store, LIMITS)


def test_rules_that_leave_all_out_are_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("# All\n*\n")
    (tmp_path / "train.py").write_text("1")
    with pytest.raises(SnapshotError) as caught:
        read_folder(tmp_path, store, LIMITS)
    assert "such as “.gitignore” (.gitignore:2: *)." in caught.value.message
    with pytest.raises(SnapshotError, match=r"“\.git” \(by default: \.git\)"):
        read(store, zipped({".git/config": b"1"}))


def test_an_encrypted_zip_is_refused(store: Store) -> None:
    data = bytearray(zipped({"train.py": b"1"}))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    with pytest.raises(SnapshotError, match="encrypted"):
        read(store, bytes(data))


def test_what_claims_to_be_an_archive_and_is_none_is_refused(store: Store) -> None:
    with pytest.raises(SnapshotError, match="is no zip or tar archive"):
        read(store, b"not an archive", name="source.zip")


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_bomb_in_a_tar_is_refused(store: Store, packing: str) -> None:
    data = tarred({"bomb": bytes(64 * 1024 * 1024)}, packing)
    assert len(data) < 200_000
    with pytest.raises(SnapshotError, match=r"unpacks to more than 34 MB"):
        read(store, data)


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_large_file_in_a_tar_is_named(store: Store, packing: str) -> None:
    data = tarred({"bomb": bytes(16 * 1024 * 1024)}, packing)
    with pytest.raises(SnapshotError, match=r"larger than 8\.4 MB.*“bomb”"):
        read(store, data)


def test_a_bomb_in_a_zip_is_refused_whatever_it_says_of_itself(store: Store) -> None:
    data = bytearray(zipped({"bomb": bytes(64 * 1024 * 1024)}))
    with pytest.raises(SnapshotError, match=r"larger than 8\.4 MB"):
        read(store, bytes(data))
    # The size in the directory, and the checksum of as many zeros.
    at = data.index(b"PK\x01\x02")
    data[at + 16 : at + 20] = zlib.crc32(bytes(100)).to_bytes(4, "little")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    intake = None
    try:
        intake = read(store, bytes(data))
    except SnapshotError:
        return
    assert intake.manifest.total_bytes <= 100


def test_overlapping_members_of_a_zip_do_not_multiply(store: Store) -> None:
    """Many entries of the directory that share one packed member."""
    data = zipped({"a": bytes(6 * 1024 * 1024)})
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    copies = b"".join(
        entry.replace(b"a", bytes([ord("a") + number]), 1) for number in range(3)
    )
    tail = bytearray(data[end:])
    tail[8:12] = (3).to_bytes(2, "little") * 2
    tail[12:16] = len(copies).to_bytes(4, "little")
    with pytest.raises(SnapshotError):
        read(store, data[:start] + copies + bytes(tail))


def test_a_huge_file_is_refused_before_it_is_kept(store: Store, tmp_path: Path) -> None:
    """Five gigabytes that are nowhere: as a file of holes, and as a stream."""
    folder = write(tmp_path / "s", {"ok": b"1"})
    with (folder / "huge.bin").open("wb") as file:
        file.truncate(5 * 1024**3)
    with pytest.raises(SnapshotError, match=r"larger than 8\.4 MB"):
        read_folder(folder, store, LIMITS)
    with pytest.raises(SnapshotError, match=r"larger than 8\.4 MB"):
        read(store, Zeros(5 * 1024**3), name="huge.bin")
    assert _new_files(tmp_path) == []


def test_many_files_below_the_limit_and_above_it(store: Store) -> None:
    limits = Limits(max_bytes=10**9, max_files=50_000)
    files = {f"d{number % 100}/f{number}": b"" for number in range(50_000)}
    assert read(store, tarred(files), limits=limits).manifest.file_count == 50_000
    for data in (zipped({**files, "one more": b""}), tarred({**files, "1more": b""})):
        with pytest.raises(SnapshotError, match="more than 50,000 files"):
            read(store, data, limits=limits)


def test_a_directory_of_millions_is_refused_unread(store: Store) -> None:
    """What zipfile would make a hundred thousand objects of."""
    entry = zipped({"x": b""})
    start, end = entry.index(b"PK\x01\x02"), entry.index(b"PK\x05\x06")
    count = 100_000
    tail = bytearray(entry[end:])
    directory = entry[start:end] * count
    tail[8:12] = (65_535).to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    with pytest.raises(SnapshotError, match="more than 8,000 files"):
        read(store, entry[:start] + directory + bytes(tail))


def test_a_folder_that_may_not_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", {"closed/secret": b"1", "ok": b"2"})
    (folder / "closed").chmod(0)
    program = (
        "import os, sys, pathlib\n"
        "from runs.snapshots import Limits, SnapshotError, Store, read_folder\n"
        "os.setuid(65534) if os.getuid() == 0 else None\n"
        "try:\n"
        "    read_folder(pathlib.Path(sys.argv[1]), Store(pathlib.Path(sys.argv[2])),\n"
        "                Limits(max_bytes=10, max_files=10))\n"
        "except SnapshotError as error:\n"
        "    print(error.message)\n"
    )
    for each in (tmp_path, *tmp_path.parents):
        if each.stat().st_uid == os.getuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o755)
    objects = tmp_path / "o"
    objects.mkdir()
    objects.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(objects)],
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "closed").chmod(0o700)
    assert "closed” may not be read." in done.stdout, done.stderr


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=strategies.integers(0, 2**32))
def test_damaged_archives_are_refused_or_read(
    store: Store, tmp_path: Path, seed: int
) -> None:
    """Cut off, or with some bits turned; never anything but a clear refusal."""
    rnd = random.Random(seed)
    kinds = [zipped(FILES), *(tarred(FILES, packing) for packing in ("", "gz", "xz"))]
    data = bytearray(rnd.choice(kinds))
    if rnd.random() < 0.3:
        del data[rnd.randrange(len(data)) :]
    for _ in range(rnd.randrange(8)):
        if data:
            data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
    try:
        read(store, bytes(data), name="source.zip")
    except SnapshotError as error:
        assert error.message
        assert error.advice
    assert _new_files(tmp_path) == []


def _new_files(folder: Path) -> list[Path]:
    """What writers left behind."""
    return list((folder / "objects" / "new").glob("*"))
