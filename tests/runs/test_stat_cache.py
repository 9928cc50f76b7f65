"""A folder is read again only where something in it changed."""

import os
import threading
from pathlib import Path

import pytest

from runs.snapshots import Limits, SnapshotError, Store, read_folder
from runs.snapshots.folder_intake import stat_cache_of
from tests.runs.sources import FILES, LIMITS, contents, write

_LONG_AGO = 1_500_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files count as old enough to be remembered."""
    monkeypatch.setattr("runs.snapshots.stat_cache._YOUNG", -(10**9))
    return write(tmp_path / "source", FILES)


def remembered(folder: Path, store: Store) -> set[str]:
    cache = stat_cache_of(folder, store)
    return {name for name in FILES if cache.known(name, (folder / name).stat())}


def test_what_is_as_it_was_is_known(folder: Path, store: Store) -> None:
    first = read_folder(folder, store, LIMITS)
    assert remembered(folder, store) == set(FILES)
    assert read_folder(folder, store, LIMITS).manifest == first.manifest


def test_a_change_is_seen_though_size_and_time_are_as_before(
    folder: Path, store: Store
) -> None:
    path = folder / "train.py"
    os.utime(path, (_LONG_AGO, _LONG_AGO))
    read_folder(folder, store, LIMITS)
    path.write_bytes(FILES["train.py"].upper())
    os.utime(path, (_LONG_AGO, _LONG_AGO))
    assert remembered(folder, store) == set(FILES) - {"train.py"}
    again = contents(read_folder(folder, store, LIMITS), store)
    assert again["train.py"] == FILES["train.py"].upper()


def test_a_young_file_is_not_remembered(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change once more without a sign of it."""
    monkeypatch.undo()
    read_folder(folder, store, LIMITS)
    assert remembered(folder, store) == set()


def test_what_went_away_is_forgotten(folder: Path, store: Store) -> None:
    read_folder(folder, store, LIMITS)
    status = (folder / "train.py").stat()
    (folder / "train.py").unlink()
    read_folder(folder, store, LIMITS)
    assert stat_cache_of(folder, store).known("train.py", status) is None


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xff", b"\x81\xa1a\x95\x01\x01\x01\x01\xa0"]
)
def test_a_damaged_memory_only_costs_time(
    folder: Path, store: Store, damage: bytes
) -> None:
    first = read_folder(folder, store, LIMITS)
    for file in store.seen_folder.iterdir():
        file.write_bytes(damage)
    assert remembered(folder, store) == set()
    assert read_folder(folder, store, LIMITS).manifest == first.manifest


def test_a_file_whose_object_is_gone_is_read_again(folder: Path, store: Store) -> None:
    first = read_folder(folder, store, LIMITS)
    for entry in first.manifest.files:
        store.path(entry.sha256).unlink()
    assert contents(read_folder(folder, store, LIMITS), store) == FILES


def test_a_mode_is_no_content_and_yet_seen(folder: Path, store: Store) -> None:
    read_folder(folder, store, LIMITS)
    (folder / "train.py").chmod(0o755)
    entry = read_folder(folder, store, LIMITS).manifest.find("train.py")
    assert entry
    assert entry.executable


def test_a_secret_is_told_each_time(folder: Path, store: Store) -> None:
    write(folder, {"login.py": b"TOKEN = 'ghp_" + b"a1" * 18 + b"'\n"})
    first = read_folder(folder, store, LIMITS)
    again = read_folder(folder, store, LIMITS)
    assert again.new == set()
    assert first.secrets == again.secrets == {"login.py": "a token of GitHub"}


def test_a_file_that_never_rests_is_refused(folder: Path, store: Store) -> None:
    path = folder / "growing.log"
    # So large that whoever writes has its turn while it is read.
    path.touch()
    os.truncate(path, 64 * 1024 * 1024)
    ended = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not ended.is_set():
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(SnapshotError, match=r"growing\.log.* was changed while"):
            read_folder(folder, store, Limits(max_bytes=10**9, max_files=100))
    finally:
        ended.set()
        writer.join()
