"""What a client offers and sends piece by piece."""

import contextlib
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, strategies

from runs.snapshots import (
    Limits,
    Manifest,
    OtherPlaceError,
    Partials,
    SnapshotError,
    Store,
    read_objects,
    read_offer,
    safe_path,
)
from tests.runs.sources import LIMITS, left_behind, tarred

DATA = b"print('hello')\n" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "objects")


@pytest.fixture
def partials(store: Store) -> Partials:
    return Partials(store, "7")


def file(path: str = "train.py", **more: Any) -> dict[str, Any]:
    return {"path": path, "size": len(DATA), "sha256": SHA256, **more}


def offer(*entries: object, limits: Limits = LIMITS) -> Manifest:
    return read_offer(json.dumps(entries).encode(), limits)


def test_an_offer_is_a_manifest() -> None:
    link = {"path": "b/link", "kind": "link", "target": "../a.py"}
    manifest = offer(
        {"path": "none", "kind": "folder"}, link, file("a.py", executable=True)
    )
    assert [entry.path for entry in manifest.entries] == ["a.py", "b/link", "none"]
    assert manifest.total_bytes == len(DATA)


@pytest.mark.parametrize(
    "entry",
    [
        file("/etc/passwd"),
        file("../outside"),
        file("a/../../outside"),
        file("a\0b"),
        file("a//b"),
        file("./a"),
        file(""),
        file("x" * 256),
        file("\udcff"),
        file(size=-1),
        file(size=1.5),
        file(size="1"),
        file(sha256="A" * 64),
        file(sha256="../" + "0" * 61),
        file(sha256=""),
        file(target="b"),
        file(kind="device"),
        file(more=1),
        {"path": "a", "kind": "link", "target": "../outside"},
        {"path": "a", "kind": "link", "target": "/etc/passwd"},
        {"path": "a", "kind": "link", "target": ""},
        {"path": "a", "kind": "link", "target": "b", "size": 1},
        {"path": "a", "kind": "folder", "target": "b"},
        {"path": "a", "kind": "folder", "sha256": SHA256},
        "train.py",
        None,
    ],
)
def test_an_odd_entry_is_refused(entry: object) -> None:
    with pytest.raises(SnapshotError) as caught:
        offer(file("ok.py"), entry)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([file(), file()], "listed twice"),
        ([file("a"), file("a/b")], "is a file and a folder at once"),
        ([file("a"), file("b", size=1)], "has another size than 1 bytes"),
        ([{"path": "a", "kind": "folder"}], "holds no files"),
        ([], "holds no files"),
    ],
)
def test_entries_that_contradict_each_other_are_refused(
    entries: list[object], sentence: str
) -> None:
    with pytest.raises(SnapshotError, match=sentence):
        offer(*entries)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(max_bytes=10**6, max_files=1), "more than 1 files"),
        (
            Limits(max_bytes=20_000, max_files=9),
            r"larger than 20 kB.*“b”.* The largest: a \(15 kB\), b \(15 kB\)\.",
        ),
    ],
)
def test_more_than_a_snapshot_may_hold_is_refused(
    limits: Limits, sentence: str
) -> None:
    with pytest.raises(SnapshotError, match=sentence):
        offer(file("a"), file("b"), limits=limits)


_WORDS = strategies.sampled_from(
    ["path", "kind", "file", "link", "folder", "size", "sha256", "target", SHA256, ".."]
) | strategies.text(max_size=5)
_JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | _WORDS,
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(_WORDS, inner, max_size=6)
    ),
)
_ENTRIES = strategies.lists(
    strategies.fixed_dictionaries(
        {"path": strategies.sampled_from(["a", "a/b", "b", ""]) | _WORDS},
        optional={
            "kind": strategies.sampled_from(["file", "link", "folder"]),
            "size": strategies.integers(),
            "sha256": strategies.sampled_from([SHA256, OTHER, ""]),
            "target": _WORDS,
        },
    ),
    max_size=4,
)


@given((_JSON | _ENTRIES).map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'[{"path": "\xff"}]')
@example(b"")
def test_any_offer_is_refused_or_safe(data: bytes) -> None:
    try:
        manifest = read_offer(data, LIMITS)
    except SnapshotError as error:
        assert error.advice
        return
    for entry in manifest.entries:
        assert safe_path(entry.path) == entry.path
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(strategies.binary(max_size=200))
def test_any_bytes_are_refused_or_safe(data: bytes) -> None:
    test_any_offer_is_refused_or_safe.hypothesis.inner_test(data)  # type: ignore[attr-defined]


def test_what_is_lacking_is_told_once(store: Store) -> None:
    manifest = offer(file("a"), file("b"), file("c", sha256=OTHER, size=5))
    assert {entry.sha256 for entry in store.lacking(manifest)} == {SHA256, OTHER}
    store.put(io.BytesIO(DATA))
    assert [entry.path for entry in store.lacking(manifest)] == ["c"]


def test_a_wrong_size_is_told(store: Store) -> None:
    store.put(io.BytesIO(DATA))
    with pytest.raises(SnapshotError, match="“a” has another size than 5 bytes"):
        store.lacking(offer(file("a", size=5)))


def test_a_damaged_object_is_lacking(store: Store) -> None:
    store.put(io.BytesIO(DATA))
    store.path(SHA256).write_bytes(b"")
    manifest = offer(file())
    assert store.lacking(manifest)
    assert read_objects(io.BytesIO(tarred({SHA256: DATA})), store, LIMITS) == 1
    assert not store.lacking(manifest)


def test_objects_come_in_a_tar(store: Store) -> None:
    sent = tarred({SHA256: DATA, OTHER: b"other"})
    assert read_objects(io.BytesIO(sent), store, LIMITS) == 2
    assert store.path(SHA256).read_bytes() == DATA
    assert store.path(OTHER).read_bytes() == b"other"


@pytest.mark.parametrize(
    "name", ["x", "../x", "0" * 63, SHA256.upper(), f"{SHA256}/x", f"./{SHA256}"]
)
def test_an_object_has_the_name_of_its_hash(store: Store, name: str) -> None:
    with pytest.raises(SnapshotError, match="is no name of an object"):
        read_objects(io.BytesIO(tarred({name: DATA})), store, LIMITS)
    assert not left_behind(store.new_folder.parent)


def test_bytes_that_hash_to_something_else_are_refused(store: Store) -> None:
    with pytest.raises(SnapshotError, match="is not what it was said to be"):
        read_objects(io.BytesIO(tarred({OTHER: DATA})), store, LIMITS)
    assert not store.path(OTHER).exists()
    assert not left_behind(store.new_folder.parent)


def test_a_tar_cut_anywhere_leaves_no_partial_object(store: Store) -> None:
    whole = tarred({SHA256: DATA, OTHER: b"other"})
    for end in range(0, len(whole), 499):
        with contextlib.suppress(SnapshotError):
            read_objects(io.BytesIO(whole[:end]), store, LIMITS)
        for sha256, data in ((SHA256, DATA), (OTHER, b"other")):
            path = store.path(sha256)
            assert not path.exists() or path.read_bytes() == data
            path.unlink(missing_ok=True)
        assert not left_behind(store.new_folder.parent)


def pieces(size: int) -> Iterator[tuple[int, io.BytesIO]]:
    for offset in range(0, len(DATA), size):
        yield offset, io.BytesIO(DATA[offset : offset + size])


def test_a_large_file_comes_in_pieces(store: Store, partials: Partials) -> None:
    assert partials.received(SHA256, len(DATA)) == 0
    for offset, piece in pieces(4096):
        assert partials.received(SHA256, len(DATA)) == offset
        assert not store.path(SHA256).exists()
        partials.add(SHA256, len(DATA), offset, piece)
    assert store.path(SHA256).read_bytes() == DATA
    assert partials.received(SHA256, len(DATA)) == len(DATA)
    assert not left_behind(store.new_folder.parent)


def test_a_piece_from_another_place_is_told_where_to_go_on(partials: Partials) -> None:
    partials.add(SHA256, len(DATA), 0, io.BytesIO(DATA[:100]))
    for offset in (0, 50, 101, len(DATA)):
        with pytest.raises(OtherPlaceError) as caught:
            partials.add(SHA256, len(DATA), offset, io.BytesIO(DATA[:10]))
        assert caught.value.received == 100


def test_pieces_that_make_something_else_are_dropped(
    store: Store, partials: Partials
) -> None:
    with pytest.raises(SnapshotError, match="is not what it was said to be"):
        partials.add(OTHER, len(DATA), 0, io.BytesIO(DATA))
    assert partials.received(OTHER, len(DATA)) == 0
    assert not store.path(OTHER).exists()


def test_more_than_was_said_is_refused(partials: Partials) -> None:
    partials.add(SHA256, len(DATA), 0, io.BytesIO(DATA[:100]))
    with pytest.raises(SnapshotError, match="More has come of a file"):
        partials.add(SHA256, len(DATA), 100, io.BytesIO(DATA))
    assert partials.received(SHA256, len(DATA)) == 100


def test_a_piece_that_breaks_off_is_as_if_it_had_not_come(partials: Partials) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise ConnectionError
            return super().read(10)

    with pytest.raises(ConnectionError):
        partials.add(SHA256, len(DATA), 0, Broken(DATA))
    assert partials.received(SHA256, len(DATA)) == 0


def test_senders_do_not_touch_each_other(store: Store, partials: Partials) -> None:
    partials.add(SHA256, len(DATA), 0, io.BytesIO(b"spoilt"))
    honest = Partials(store, "8")
    for offset, piece in pieces(4096):
        honest.add(SHA256, len(DATA), offset, piece)
    assert store.path(SHA256).read_bytes() == DATA
    assert partials.received(SHA256, len(DATA)) == len(DATA)


def test_two_windows_may_send_the_same_at_once(store: Store) -> None:
    def send() -> None:
        partials = Partials(store, "7")
        offset = 0
        while offset < len(DATA):
            piece = io.BytesIO(DATA[offset : offset + 512])
            try:
                offset = partials.add(SHA256, len(DATA), offset, piece)
            except OtherPlaceError as error:
                offset = error.received

    windows = [threading.Thread(target=send) for _ in range(4)]
    for window in windows:
        window.start()
    for window in windows:
        window.join()
    assert store.path(SHA256).read_bytes() == DATA


def test_two_clients_may_send_the_same_at_once(store: Store) -> None:
    sent = tarred({SHA256: DATA, OTHER: b"other"})

    def send() -> None:
        for _ in range(20):
            read_objects(io.BytesIO(sent), store, LIMITS)

    clients = [threading.Thread(target=send) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert store.path(SHA256).read_bytes() == DATA
    assert not left_behind(store.new_folder.parent)
