"""Names and links that lead elsewhere, or in circles, from any source."""

import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings, strategies

from runs.snapshots import (
    Manifest,
    SnapshotError,
    Store,
    read_folder,
    zip_snapshot,
)
from runs.snapshots.offers import read_offer
from tests.runs.sources import (
    LIMITS,
    contents,
    lay_out,
    member,
    read,
    tar_of,
    write,
    zip_of,
)

LOOPS = {"loop": ".", "a": "b", "b": "a", "d/up": "..", "d/self": "self"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


def zip_with(*names: str, system: int = 0) -> bytes:
    """Names as they are in the bytes, whatever Python would make of them."""
    members = []
    fillers = [
        letter * len(name.encode()) for letter, name in zip("qxz", names, strict=False)
    ]
    for filler in fillers:
        info = zipfile.ZipInfo(filler)
        info.create_system = system
        members.append((info, b"1"))
    data = zip_of(members, zipfile.ZIP_STORED)
    for filler, name in zip(fillers, names, strict=True):
        data = data.replace(filler.encode(), name.encode())
    return data


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("C:\\data\\train.py", "is a path from the root"),
        ("c:/train.py", "is a path from the root"),
        ("..\\outside.py", "leads out of the folder"),
        ("a\\..\\..\\outside.py", "leads out of the folder"),
        ("\\\\server\\share", "is a path from the root"),
        ("tra\0in.py", "is no name for a file"),
    ],
)
def test_a_path_of_windows_that_leads_elsewhere_is_refused(
    store: Store, name: str, sentence: str
) -> None:
    with pytest.raises(SnapshotError, match=sentence) as caught:
        read(store, zip_with(name), name="source.zip")
    assert caught.value.advice == "Rename it, or leave it out."


def test_a_backslash_is_a_letter_elsewhere(store: Store) -> None:
    intake = read(store, zip_with("a\\b", "train.py", system=3))
    assert set(contents(intake, store)) == {"a\\b", "train.py"}


def test_a_zero_in_a_name_of_a_tar_is_refused_or_its_end(store: Store) -> None:
    """In an extended header, a name may have any byte."""
    data = tar_of([(member("trüin.py"), b"1"), (member("ok"), b"2")])
    spoilt = data.replace("path=trüin.py".encode(), b"path=tr\0\0in.py")
    assert spoilt != data
    with pytest.raises(SnapshotError) as caught:
        read(store, spoilt)
    assert caught.value.advice


def looped(kind: str, folder: Path, store: Store) -> Manifest:
    write(folder, {"train.py": b"1", "d/x": b"2"})
    for name, target in LOOPS.items():
        (folder / name).symlink_to(target)
    if kind == "folder":
        return read_folder(folder, store, LIMITS).manifest
    if kind == "tar":
        links = [
            (member(n, tarfile.SYMTYPE, linkname=t), b"") for n, t in LOOPS.items()
        ]
        files = [(member("train.py"), b"1"), (member("d/x"), b"2")]
        return read(store, tar_of([*links, *files])).manifest
    members = [(zipfile.ZipInfo("train.py"), b"1"), (zipfile.ZipInfo("d/x"), b"2")]
    for name, target in LOOPS.items():
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        members.append((info, target.encode()))
    return read(store, zip_of(members)).manifest


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_links_in_circles_are_kept_and_never_followed(
    store: Store, tmp_path: Path, kind: str
) -> None:
    manifest = looped(kind, tmp_path / "source", store)
    links = {e.path: e.target for e in manifest.entries if e.kind == "link"}
    assert links == LOOPS
    assert {entry.path for entry in manifest.files} == {"train.py", "d/x"}
    lay_out(manifest, store, tmp_path / "work")
    found = {name: os.readlink(tmp_path / "work" / name) for name in LOOPS}  # noqa: PTH115
    assert found == LOOPS
    packed = io.BytesIO(b"".join(zip_snapshot(manifest, store)))
    assert len(zipfile.ZipFile(packed).namelist()) == len(LOOPS) + 2


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "d/../../outside"])
def test_a_link_out_of_a_folder_is_refused(
    store: Store, tmp_path: Path, target: str
) -> None:
    folder = write(tmp_path / "source", {"train.py": b"1", "d/x": b"2"})
    (folder / "link").symlink_to(target)
    with pytest.raises(SnapshotError, match="“link” leads out of the folder"):
        read_folder(folder, store, LIMITS)


_PATHS = strategies.sampled_from(["a/b/c", "a/b/d", "a/c", "c", "d"])
_TARGETS = strategies.lists(
    strategies.sampled_from(["..", "c", "d"]), min_size=1, max_size=3
).map("/".join)
_LINKS = strategies.dictionaries(_PATHS, _TARGETS, max_size=5)


@settings(deadline=None, max_examples=300)
@given(_LINKS)
@example({"a/b/c": "../..", "a/b/d": "c/../.."})
def test_whatever_is_accepted_is_laid_out_inside(links: dict[str, str]) -> None:
    """What a client may offer writes nothing outside, and leads nobody there."""
    with TemporaryDirectory() as made:
        place = Path(made).resolve()
        store = Store(place / "objects")
        kept = store.put(io.BytesIO(b"content"))
        offered = [
            {"path": "train.py", "size": 7, "sha256": kept.sha256},
            *(
                {"path": path, "kind": "link", "target": target}
                for path, target in links.items()
            ),
        ]
        try:
            manifest = read_offer(json.dumps(offered).encode(), LIMITS)
        except SnapshotError:
            return
        work = place / "deep" / "er" / "work"
        lay_out(manifest, store, work)
        assert {path.name for path in place.iterdir()} == {"objects", "deep"}
        assert list(work.parent.iterdir()) == [work]
        for path in _all_below(work):
            # Where a circle can't be resolved, it leads nowhere.
            assert path.is_symlink() or path.read_bytes() == b"content"
            assert _end_of(path).is_relative_to(work)


def _all_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in [*names, *links])


def _end_of(path: Path) -> Path:
    """Where the system gets to; `path` itself if links go in circles."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path
