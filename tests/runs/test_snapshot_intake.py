"""Reading sources into the store: what is kept, and how."""

import io
import os
import stat
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from runs.snapshots import Limits, SnapshotError, Store, read_folder
from tests.runs.sources import (
    FILES,
    LIMITS,
    Files,
    contents,
    left_behind,
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


@pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
def test_a_tar_archive_of_any_packing(store: Store, packing: str) -> None:
    assert contents(read(store, tarred(FILES, packing)), store) == FILES


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_archive(store: Store, method: int) -> None:
    assert contents(read(store, zipped(FILES, method)), store) == FILES


def test_a_folder(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "source", FILES)
    assert contents(read_folder(folder, store, LIMITS), store) == FILES


def test_large_files_of_a_folder(store: Store, tmp_path: Path) -> None:
    files = {f"{n}/{m}": os.urandom(5_000_000 + n) for n in range(3) for m in range(2)}
    files["train.py"] = b"print('hello')\n"
    limits = Limits(max_bytes=sum(map(len, files.values())), max_files=10)
    source = write(tmp_path / "source", files)
    assert contents(read_folder(source, store, limits), store) == files
    with pytest.raises(SnapshotError, match="larger than"):
        read_folder(source, store, replace(limits, max_bytes=limits.max_bytes - 1))
    assert left_behind(tmp_path / "objects") == []


def test_the_ten_largest_are_told_of_what_is_too_large(
    store: Store, tmp_path: Path
) -> None:
    files = {f"f{n:02}.bin": bytes(1000 * n) for n in range(1, 21)}
    limits = Limits(max_bytes=190_000, max_files=100)
    source = write(tmp_path / "source", files)
    for kind in ("folder", "zip"):
        with pytest.raises(SnapshotError, match="larger than 190 kB") as caught:
            if kind == "folder":
                read_folder(source, store, limits)
            else:
                read(store, zipped(files), limits=limits)
        _, _, largest = caught.value.advice.partition("The largest: ")
        assert largest.count("kB") == 10
        assert largest.startswith("f20.bin (20 kB), f19.bin (19 kB), ")


def test_a_single_script(store: Store) -> None:
    intake = read(store, b"print(1)\n", name="train.py")
    assert contents(intake, store) == {"train.py": b"print(1)\n"}


def test_equal_folders_are_one_snapshot(store: Store, tmp_path: Path) -> None:
    backwards = dict(reversed(list(FILES.items())))
    identities = {
        read(store, tarred(FILES, "gz")).manifest.identity,
        read(store, zipped(backwards)).manifest.identity,
        read_folder(write(tmp_path / "source", FILES), store, LIMITS).manifest.identity,
    }
    assert len(identities) == 1
    changed = read(store, zipped({**FILES, "train.py": b"print('hellO')\n"}))
    assert changed.manifest.identity not in identities


def test_a_manifest_is_kept_under_its_identity(store: Store) -> None:
    manifest = read(store, zipped(FILES)).manifest
    assert store.read_manifest(manifest.identity) == manifest
    assert manifest.file_count == len(FILES)
    assert manifest.total_bytes == sum(map(len, FILES.values()))


def test_modes_links_and_empty_folders_are_kept(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "source", {"run.sh": b"#!/bin/sh\n", "a/b": b"b"})
    (folder / "run.sh").chmod(0o755)
    (folder / "a/inside").symlink_to("../run.sh")
    (folder / "none").mkdir()
    from_folder = read_folder(folder, store, LIMITS).manifest
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=".")
    assert read(store, packed.getvalue()).manifest == from_folder
    kinds = {
        entry.path: (entry.kind, entry.executable) for entry in from_folder.entries
    }
    assert kinds == {
        "run.sh": ("file", True),
        "a/b": ("file", False),
        "a/inside": ("link", False),
        "none": ("folder", False),
    }


def test_a_zip_keeps_modes_and_links_too(store: Store) -> None:
    script, link = zipfile.ZipInfo("run.sh"), zipfile.ZipInfo("a/link")
    script.external_attr = (stat.S_IFREG | 0o755) << 16
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    manifest = read(store, zip_of([(script, b"#!"), (link, b"../run.sh")])).manifest
    found = {entry.path: (entry.executable, entry.target) for entry in manifest.entries}
    assert found == {"run.sh": (True, ""), "a/link": (False, "../run.sh")}


def test_a_hard_link_becomes_a_file_of_its_own(store: Store) -> None:
    link = member("copy.py", tarfile.LNKTYPE, linkname="train.py")
    data = tar_of([(member("train.py"), b"1"), (link, b"")])
    assert contents(read(store, data), store) == {"train.py": b"1", "copy.py": b"1"}


def test_the_only_folder_at_the_top_becomes_the_top(store: Store) -> None:
    intake = read(
        store, zipped({"digits-main/train.py": b"1", "digits-main/d/x": b"2"})
    )
    assert intake.flattened == "digits-main"
    assert contents(intake, store) == {"train.py": b"1", "d/x": b"2"}
    beside = read(store, zipped({"digits-main/train.py": b"1", "README": b"2"}))
    assert not beside.flattened


def test_what_no_script_needs_is_left_out_and_said(store: Store) -> None:
    intake = read(
        store,
        zipped(
            {
                "train.py": b"1",
                ".git/config": b"2",
                ".git/HEAD": b"3",
                "lib/__pycache__/x.pyc": b"4",
                "__MACOSX/._train.py": b"5",
                ".gitignore": b"6",
            }
        ),
    )
    assert set(contents(intake, store)) == {"train.py", ".gitignore"}
    assert set(intake.left_out) == {".git", "lib/__pycache__", "__MACOSX"}


def test_names_that_differ_in_case_are_two_files(store: Store) -> None:
    assert len(contents(read(store, zipped({"a": b"1", "A": b"2"})), store)) == 2


def test_a_name_that_comes_twice_is_what_came_last(store: Store) -> None:
    data = tar_of([(member("train.py"), b"old"), (member("train.py"), b"new")])
    assert contents(read(store, data), store) == {"train.py": b"new"}


def test_backslashes_of_windows_are_folders(store: Store) -> None:
    info = zipfile.ZipInfo("data/x.csv")
    info.filename, info.create_system = "data\\x.csv", 0
    assert set(contents(read(store, zip_of([(info, b"1")])), store)) == {"x.csv"}


RULED: Files = {
    "train.py": b"1",
    "a.log": b"2",
    "keep.log": b"3",
    "lib/.gitignore": b"/only_here\n!keep.txt\n",
    "lib/only_here/x": b"4",
    "lib/keep.txt": b"5",
    "other/only_here": b"6",
    "other/drop.txt": b"7",
    ".gitignore": b"*.log\n!keep.log\n*.txt\n",
}
KEPT = {"train.py", "keep.log", "lib/.gitignore", "lib/keep.txt", "other/only_here"}
LEFT_OUT = {
    "a.log": ".gitignore:1: *.log",
    "lib/only_here": "lib/.gitignore:1: /only_here",
    "other/drop.txt": ".gitignore:3: *.txt",
}


def below(top: str, files: Files) -> Files:
    return {f"{top}/{name}": data for name, data in files.items()}


@pytest.mark.parametrize("top", ["", "project"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_ignore_files_count_wherever_they_stand(
    store: Store, tmp_path: Path, kind: str, top: str
) -> None:
    """In the archives, the rules come after what they are about."""
    files = below(top, RULED) if top else RULED
    match kind:
        case "folder":
            folder = write(tmp_path / "source", files) / top
            intake = read_folder(folder, store, LIMITS)
        case "zip":
            intake = read(store, zipped(files))
        case _:
            intake = read(store, tarred(files, "gz"))
    assert set(contents(intake, store)) == KEPT | {".gitignore"}
    assert {path: str(rule) for path, rule in intake.left_out.items()} == LEFT_OUT


def test_an_amlignore_is_read_instead(store: Store) -> None:
    intake = read(store, zipped({**RULED, ".amlignore": b"lib\n"}))
    assert set(contents(intake, store)) == {
        *(name for name in RULED if not name.startswith("lib/")),
        ".amlignore",
    }
    assert {path: str(rule) for path, rule in intake.left_out.items()} == {
        "lib": ".amlignore:1: lib"
    }


def test_a_rule_brings_back_what_is_left_out_of_old(store: Store) -> None:
    files = {"train.py": b"1", "venv/x": b"2", ".gitignore": b"!venv\n"}
    intake = read(store, tarred(files))
    assert set(contents(intake, store)) == set(files)


def test_a_link_to_rules_is_no_rules(store: Store, tmp_path: Path) -> None:
    folder = write(tmp_path / "source", {"train.py": b"1", "rules": b"*.py\n"})
    (folder / ".gitignore").symlink_to("rules")
    assert set(contents(read_folder(folder, store, LIMITS), store)) == {
        "train.py",
        "rules",
    }
