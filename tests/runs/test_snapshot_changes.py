"""What differs between two lists of files, and which of them only moved."""

import hashlib
import random
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from runs.snapshots.changes import Change, Changes, changes
from runs.snapshots.manifest import Entry, Manifest
from tests.services.git import git, repository, write

_SKLEARN = Path(sysconfig.get_path("purelib")) / "sklearn"
_CODE = "".join(f"def step_{n}(x):\n    return x * {n}\n\n" for n in range(20))


class Tree:
    """Files in memory, as two manifests and a way to read them."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def manifest(self, files: Mapping[str, str | bytes | Entry]) -> Manifest:
        return Manifest.of(self._entry(path, what) for path, what in files.items())

    def read(self, entry: Entry) -> bytes:
        return self._contents[entry.sha256]

    def _entry(self, path: str, what: str | bytes | Entry) -> Entry:
        if isinstance(what, Entry):
            return what
        content = what.encode() if isinstance(what, str) else what
        sha256 = hashlib.sha256(content).hexdigest()
        self._contents[sha256] = content
        return Entry(path=path, size=len(content), sha256=sha256)


def found(
    old: Mapping[str, str | bytes | Entry], new: Mapping[str, str | bytes | Entry]
) -> Changes:
    tree = Tree()
    return changes(tree.manifest(old), tree.manifest(new), read=tree.read)


def told(changed: Changes) -> list[tuple[str, str, str]]:
    return [
        (change.kind, change.before.path if change.before else "", change.entry.path)
        for change in changed.all
    ]


def test_each_kind_of_change_in_the_order_of_the_paths() -> None:
    changed = found(
        {"a": "1", "b": "old", "c": "2", "d/e": _CODE, "same": "="},
        {"a": "1!", "b2": "new", "f/e": _CODE, "same": "="},
    )
    assert told(changed) == [
        ("changed", "a", "a"),
        ("removed", "b", "b"),
        ("added", "", "b2"),
        ("removed", "c", "c"),
        ("moved", "d/e", "f/e"),
    ]
    assert changed.same == 1


def test_equal_trees_have_no_changes() -> None:
    changed = found({"a": "1"}, {"a": "1"})
    assert not changed
    assert changed.all == []


def test_a_file_that_was_moved_and_edited_is_found() -> None:
    edited = _CODE.replace("step_3", "other").replace("* 7", "* 70") + "# more\n"
    changed = found({"old/steps.py": _CODE}, {"new/things.py": edited})
    assert told(changed) == [("moved", "old/steps.py", "new/things.py")]


def test_without_the_contents_it_is_gone_and_new() -> None:
    tree = Tree()
    old = tree.manifest({"old.py": _CODE})
    new = tree.manifest({"new.py": _CODE + "# more\n"})
    assert told(changes(old, new)) == [
        ("added", "", "new.py"),
        ("removed", "old.py", "old.py"),
    ]


@pytest.mark.parametrize(
    ("kept", "kind"), [(20, "moved"), (11, "moved"), (8, "added"), (0, "added")]
)
def test_half_of_it_must_be_as_before(kept: int, kind: str) -> None:
    old = [f"line number {n:03} of the old\n" for n in range(20)]
    new = [*old[:kept], *(f"line number {n:03} of another\n" for n in range(20 - kept))]
    changed = found({"old.txt": "".join(old)}, {"new.txt": "".join(new)})
    kinds = {change.entry.path: change.kind for change in changed.all}
    assert kinds["new.txt"] == kind


def test_each_file_moves_once_and_the_most_alike_first() -> None:
    near, far = _CODE + "# near\n", _CODE.replace("return", "yield")
    changed = found({"a.py": _CODE}, {"far.py": far, "near.py": near})
    assert told(changed) == [("added", "", "far.py"), ("moved", "a.py", "near.py")]


def test_of_equally_alike_ones_the_name_decides() -> None:
    changed = found(
        {"one/__main__.py": _CODE, "one/other.py": _CODE + "\n"},
        {"two/other.py": _CODE + "#", "two/__main__.py": _CODE + "#\n"},
    )
    assert ("moved", "one/other.py", "two/other.py") in told(changed)


def test_many_files_with_the_same_lines_are_found_by_their_names() -> None:
    old = {f"old/{n}.yaml": _CODE for n in range(60)}
    new = {f"new/{n}.yaml": _CODE + "# more\n" for n in range(60)}
    assert told(found(old, new)) == [
        ("moved", f"old/{n}.yaml", f"new/{n}.yaml")
        for n in sorted(range(60), key=lambda n: f"new/{n}.yaml")
    ]


@pytest.mark.parametrize("content", ["", "x"])
def test_empty_and_different_files_move_nowhere(content: str) -> None:
    changed = found({"old": content}, {"new": "" if content == "" else "y"})
    assert [change.kind for change in changed.all] == ["added", "removed"]


def test_a_mode_a_target_and_a_kind_are_changes() -> None:
    plain = Entry(path="run.sh", size=1, sha256="a" * 64)
    old = {
        "run.sh": plain,
        "link": Entry(path="link", kind="link", target="a"),
        "was": Entry(path="was", kind="link", target="a"),
        "empty": Entry(path="empty", kind="folder"),
    }
    new: dict[str, str | bytes | Entry] = {
        "run.sh": Entry(path="run.sh", size=1, sha256="a" * 64, executable=True),
        "link": Entry(path="link", kind="link", target="b"),
        "was": "a file now",
    }
    assert told(found(old, new)) == [
        ("removed", "empty", "empty"),
        ("changed", "link", "link"),
        ("changed", "run.sh", "run.sh"),
        ("changed", "was", "was"),
    ]


def test_a_file_that_is_new_by_its_path_is_named_by_it() -> None:
    entry = Entry(path="a", size=1, sha256="a" * 64)
    assert Change(None, entry).entry == Change(entry, None).entry == entry


def test_a_thousand_gone_and_a_thousand_new_are_soon_compared() -> None:
    """All alike, which is the most work: the lines of each are in all others."""
    dice = random.Random(1)
    lines = [f"a line of code, number {n}\n" for n in range(400)]
    old = {f"old/{n}": "".join(dice.sample(lines, 100)) for n in range(1000)}
    new = {f"new/{n}": "".join(dice.sample(lines, 100)) for n in range(1000)}
    begin = time.monotonic()
    assert len(found(old, new).all) > 1000
    assert time.monotonic() - begin < 10


def test_files_that_are_all_the_same_are_soon_paired() -> None:
    old = {f"old/{n}": "the same" for n in range(20_000)}
    new = {f"new/other-{n}": "the same" for n in range(20_000)}
    begin = time.monotonic()
    changed = found(old, new)
    assert time.monotonic() - begin < 5
    assert len(changed.renamed) == 20_000


def test_an_equal_name_counts_before_the_order() -> None:
    changed = found({"old/a": "1", "old/b": "1"}, {"new/0": "1", "new/a": "1"})
    assert told(changed) == [("moved", "old/b", "new/0"), ("moved", "old/a", "new/a")]


def test_files_of_very_short_lines_are_soon_told_as_gone_and_new() -> None:
    content = "".join(f"{n:x}\n" for n in range(150_000))
    old = {f"old/{n}": f"{content}{n}\n" for n in range(8)}
    new = {f"new/{n}": f"{n}\n{content}" for n in range(8)}
    begin = time.monotonic()
    changed = found(old, new)
    assert time.monotonic() - begin < 3
    assert not changed.renamed


def test_too_many_or_too_large_files_are_not_read() -> None:
    def read(entry: Entry) -> bytes:
        raise AssertionError(f"{entry.path} was read.")

    def manifest(folder: str, files: int, size: int) -> Manifest:
        return Manifest.of(
            Entry(path=f"{folder}/{n}", size=size, sha256=f"{hash((folder, n)):064x}")
            for n in range(files)
        )

    for files, size in [(1500, 10), (1, 2**21), (20, 2**20)]:
        old, new = manifest("old", files, size), manifest("new", files, size)
        assert len(changes(old, new, read=read).all) == 2 * files


def test_moves_in_a_real_tree_are_those_that_git_finds(tmp_path: Path) -> None:
    dice = random.Random(3)
    files = {
        f"tree/{path.relative_to(_SKLEARN)}": path.read_bytes()
        for path in sorted(_SKLEARN.rglob("*.py"))[::6]
        if 1000 < path.stat().st_size < 100_000
    }
    moved = dict(files)
    for number, path in enumerate(dice.sample(sorted(files), 20)):
        lines = moved.pop(path).split(b"\n")
        for at in dice.sample(range(len(lines)), len(lines) // 10):
            lines[at] = b"# edited %d" % at
        moved[f"tree/moved/{number}.py"] = b"\n".join(lines)
    repository(tmp_path, files)
    for path in files:
        (tmp_path / path).unlink()
    write(tmp_path, moved)
    git(tmp_path, "add", "--all")
    status = git(tmp_path, "diff", "--cached", "-M50%", "-l0", "--name-status")
    by_git = [line.split("\t")[1:] for line in status.split("\n") if line[0] == "R"]
    assert len(by_git) == 20
    renamed = [[old.path, new.path] for old, new in found(files, moved).renamed]
    assert sorted(renamed) == sorted(by_git)
