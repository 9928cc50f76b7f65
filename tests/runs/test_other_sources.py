"""Sources that the portal has, or finds on its own machine."""

import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from runs.models import Run
from runs.snapshots import SnapshotError, Store, read_folder
from tests.runs.sources import LIMITS, contents, write
from tests.runs.test_submit_views import signed_in, typed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_FILES = {"train.py": b"print(1)", ".gitignore": b"*.log\n", "a.log": b"2"}


@pytest.fixture
def client() -> Client:
    return signed_in("ada")


@pytest.fixture
def root(tmp_path: Path, settings: Settings) -> Path:
    root = tmp_path / "projects"
    root.mkdir()
    settings.SOURCE_ROOTS = [root]
    return root


def take(client: Client, path: object) -> Any:
    return client.post("/runs/snapshots/folder/", {"path": str(path)})


def test_a_folder_below_a_root_is_a_source(client: Client, root: Path) -> None:
    folder = write(root / "digits", _FILES)
    answer = take(client, folder).json()
    assert answer["name"] == "digits"
    assert answer["files"] == [".gitignore", "train.py"]
    assert answer["left_out"] == [{"path": "a.log", "rule": ".gitignore:1: *.log"}]
    made = client.post("/runs/new/", typed(snapshot=answer["snapshot"]))
    assert made.status_code == 302
    assert Run.objects.get().snapshot_id == answer["snapshot"]


def test_what_lies_elsewhere_can_not_be_read(
    client: Client, root: Path, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside", _FILES)
    (root / "link").symlink_to(outside)
    beside = write(tmp_path / "projects-of-others", _FILES)
    paths = (
        *(outside, root / "link", root / ".." / "outside", beside, "/", "/etc"),
        *(root / "absent", "/absent", "/a\0b", "/" + "x" * 5000),
    )
    for path in paths:
        answer = take(client, path)
        assert answer.status_code == 422, path
        assert "is no folder that can be read" in answer.json()["error"]
        assert str(root) in answer.json()["advice"]


@pytest.mark.parametrize("path", ["", "code", "./code", "~/code"])
def test_a_path_is_not_looked_for_where_the_portal_was_started(
    client: Client, root: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    write(root / "code", _FILES)
    monkeypatch.chdir(root)
    answer = take(client, path)
    assert answer.json()["error"] == "The path of a folder begins with “/”."
    assert str(root) in answer.json()["advice"]


def test_a_file_is_no_folder(client: Client, root: Path) -> None:
    write(root, _FILES)
    assert "is no folder." in take(client, root / "train.py").json()["error"]


def test_without_roots_nothing_can_be_read(client: Client, tmp_path: Path) -> None:
    write(tmp_path, _FILES)
    answer = take(client, tmp_path)
    assert answer.status_code == 422
    assert answer.json()["advice"] == "Administrators allow folders below none yet."


def test_nobody_leads_the_reader_elsewhere(tmp_path: Path) -> None:
    """Who may write in a folder could put a link in place of one that is just read."""
    folder = write(tmp_path / "source", {f"d{n}/x": b"mine" for n in range(50)})
    secret = write(tmp_path / "secret", {"x": b"not yours"})
    store = Store(tmp_path / "objects")
    ended = threading.Event()

    def swap() -> None:
        """Now a folder, now a link to the secret in its place."""
        while not ended.is_set():
            for name in ("d7", "d23", "d49"):
                (folder / name).rename(tmp_path / f"aside-{name}")
                (folder / name).symlink_to(secret)
                (folder / name).unlink()
                (tmp_path / f"aside-{name}").rename(folder / name)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(60):
            try:
                intake = read_folder(folder, store, LIMITS)
            except SnapshotError:
                continue
            assert set(contents(intake, store).values()) == {b"mine"}
    finally:
        ended.set()
        swapper.join()
    assert not any(
        path.read_bytes() == b"not yours"
        for path in (tmp_path / "objects").rglob("*")
        if path.is_file()
    )


def test_earlier_runs_are_found_by_name(client: Client, root: Path) -> None:
    snapshot = take(client, write(root / "digits", _FILES)).json()["snapshot"]
    names = ("first try", "with <dropout>")
    for name in names:
        client.post("/runs/new/", typed(snapshot=snapshot, display_name=name))
    url = "/runs/snapshots/earlier/"
    page = client.get(url).content.decode()
    assert page.index("with &lt;dropout&gt;") < page.index("first try")
    assert page.count(f'data-snapshot="{snapshot}"') == 2
    assert "with" not in client.get(url, {"earlier": "first"}).content.decode()
    assert "No run is named so." in client.get(url, {"earlier": "%"}).content.decode()


def test_an_earlier_snapshot_is_a_source(client: Client, root: Path) -> None:
    sent = take(client, write(root / "digits", _FILES)).json()
    url = f"/runs/snapshots/earlier/{sent['snapshot']}/"
    answer = client.post(url).json()
    assert answer["files"] == sent["files"]
    assert answer["snapshot"] == sent["snapshot"]
    assert client.post(f"/runs/snapshots/earlier/{'0' * 64}/").status_code == 404
