"""The protocol by which a client sends a source: offer, objects, pieces, offer."""

import hashlib
import json
import tracemalloc
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from runs.models import Run, Snapshot
from runs.snapshots import LONGEST_OFFER
from runs.storage import store
from tests.runs.sources import Zeros, tarred, zipped
from tests.runs.test_submit_views import signed_in, typed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_OFFER = "/runs/snapshots/offer/"
_OBJECTS = "/runs/snapshots/objects/"
_BYTES = "application/octet-stream"


@pytest.fixture
def client() -> Client:
    return signed_in("ada")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entries(files: dict[str, bytes]) -> bytes:
    found = [
        {"path": path, "size": len(data), "sha256": sha256(data)}
        for path, data in files.items()
    ]
    return json.dumps(found).encode()


def offer(client: Client, files: dict[str, bytes], name: str = "mine") -> Any:
    url = f"{_OFFER}?{urlencode({'name': name})}"
    answer = client.post(url, entries(files), content_type="application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def send(client: Client, *contents: bytes) -> None:
    body = tarred({sha256(data): data for data in contents})
    assert client.post(_OBJECTS, body, content_type=_BYTES).status_code == 200


def piece_url(data: bytes, **query: object) -> str:
    return f"{_OBJECTS}{sha256(data)}/?{urlencode({'size': len(data), **query})}"


def unlike_any(what: str) -> bytes:
    """A content that no other test has put into the store."""
    return f"{what} {uuid.uuid4()}".encode() + bytes(100)


def test_only_what_is_lacking_is_asked_for(client: Client) -> None:
    script, data = unlike_any("script"), unlike_any("data")
    first = offer(client, {"train.py": script, "a": data, "copy of a": data})
    assert first["snapshot"] == ""
    assert sorted(first["missing"]) == sorted({sha256(script), sha256(data)})
    assert first["missing_bytes"] == len(script) + len(data)
    assert first["scripts"] == ["train.py"]
    assert not Snapshot.objects.exists()
    send(client, script, data)
    whole = offer(client, {"train.py": script, "a": data, "copy of a": data})
    assert whole["missing"] == []
    snapshot = Snapshot.objects.get(pk=whole["snapshot"])
    assert (snapshot.name, snapshot.files) == ("mine", 3)
    changed = script + b"# more"
    second = offer(client, {"train.py": changed, "a": data})
    assert second["missing"] == [sha256(changed)]


def test_a_folder_and_its_archive_are_one_snapshot(client: Client) -> None:
    files = {"train.py": unlike_any("one"), "d/x": b"2"}
    send(client, *files.values())
    url = "/runs/snapshots/?name=a.zip"
    uploaded = client.post(url, zipped(files), content_type=_BYTES).json()
    assert offer(client, files)["snapshot"] == uploaded["snapshot"]


def test_a_large_file_comes_in_pieces(client: Client) -> None:
    data = unlike_any("large")
    assert client.get(piece_url(data)).json() == {"received": 0}
    half = len(data) // 2
    for offset, piece in ((0, data[:half]), (half, data[half:])):
        url = piece_url(data, offset=offset)
        answer = client.post(url, piece, content_type=_BYTES)
        assert answer.json() == {"received": offset + len(piece)}
    assert store().path(sha256(data)).read_bytes() == data


def test_a_piece_in_a_wrong_place_is_told_where_to_go_on(client: Client) -> None:
    data = unlike_any("misplaced")
    client.post(piece_url(data, offset=0), data[:10], content_type=_BYTES)
    answer = client.post(piece_url(data, offset=50), data[50:], content_type=_BYTES)
    assert answer.status_code == 409
    assert answer.json() == {"received": 10}
    other = signed_in("grace")
    assert other.get(piece_url(data)).json() == {"received": 0}


@pytest.mark.parametrize(
    ("url", "body", "sentence"),
    [
        (_OFFER, b"[{}]", "The list of files can't be read."),
        (_OFFER, b"", "The list of files can't be read."),
        (_OBJECTS, tarred({"x": b"1"}), "“x” is no name of an object."),
        (
            _OBJECTS,
            tarred({sha256(b"never sent"): b"never Sent"}),
            "A file is not what it was said",
        ),
        (_OBJECTS, b"not a tar", "is no zip or tar archive, or it is damaged"),
        (
            piece_url(b"absent", offset=0),
            b"Absent",
            "A file is not what it was said to be",
        ),
        (piece_url(b"absent", offset=0), b"absent!", "More has come of a file"),
    ],
)
def test_what_is_wrong_is_told(
    client: Client, url: str, body: bytes, sentence: str
) -> None:
    answer = client.post(url, body, content_type=_BYTES)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]
    assert answer.json()["advice"]


@pytest.mark.parametrize(
    "query", ["", "size=x", "size=-1", "size=1e3", "size=٣", "size=" + "9" * 99]
)
def test_an_odd_size_is_refused(client: Client, query: str) -> None:
    assert client.get(f"{_OBJECTS}{sha256(b'1')}/?{query}").status_code == 400


def test_the_limits_hold_for_an_offer(client: Client, settings: Settings) -> None:
    settings.SNAPSHOT_MAX_FILES = 1
    body = entries({"a": b"1", "b": b"2"})
    answer = client.post(_OFFER, body, content_type="application/json")
    assert answer.status_code == 422
    assert "more than 1 files or folders" in answer.json()["error"]


def submitted(client: Client, snapshot: str) -> Run:
    answer = client.post("/runs/new/", typed(snapshot=snapshot))
    assert answer.status_code == 302, answer.content
    return Run.objects.latest("id")


def notes(run: Run) -> list[str]:
    return list(run.events.filter(status="").values_list("detail", flat=True))


def test_the_run_says_what_travelled(client: Client) -> None:
    script, data = unlike_any("travels"), bytes(1000)
    send(client, data)
    files = {"train.py": script, "data": data}
    offer(client, files)
    send(client, script)
    run = submitted(client, offer(client, files)["snapshot"])
    size = len(script)
    assert notes(run) == [
        f"Source to portal: 1 of 2 files new, {size} bytes; 1.0 kB were there already."
    ]
    again = submitted(client, offer(client, files)["snapshot"])
    assert notes(again) == [
        "Source to portal: nothing new; 2 files, 1.1 kB, were there already."
    ]
    resubmitted = submitted(client, again.snapshot_id)
    assert notes(resubmitted) == []


def look(client: Client, manifest: str, experiment: str = "none", **more: str) -> str:
    query = urlencode({"experiment": experiment, **more})
    answer = client.get(f"/runs/snapshots/{manifest}/preflight/?{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_page_shows_what_would_go_before_it_went(client: Client) -> None:
    files = {
        "train.py": unlike_any("shown"),
        "lib/<b>.py": b"2",
        ".env": b"3",
        "deploy/id_rsa": b"4",
    }
    page = look(client, offer(client, files)["manifest"])
    assert "The first of this experiment." in page
    assert "Whoever may sign in can read a snapshot." in page
    assert "&lt;b&gt;.py" in page
    assert page.count("has a name like those of secrets") == 2


def test_what_is_new_is_told_once_the_experiment_has_a_name(client: Client) -> None:
    page = look(client, offer(client, {"train.py": b"1"})["manifest"], experiment="")
    assert "Name the experiment to see what is new since its last run." in page


def test_names_that_mean_trouble_elsewhere_are_told(client: Client) -> None:
    files = {"Data.csv": b"1", "data.csv": b"2", "aux.py": b"3", "train.py": b"4"}
    page = look(client, offer(client, files)["manifest"])
    assert "Data.csv <span" in page
    assert "are one file where a name's case" in page
    assert "aux.py <span" in page
    assert "have this name on Windows" in page


def test_the_page_shows_what_is_new_since_the_last_run(client: Client) -> None:
    before = {"train.py": unlike_any("a"), "old.py": b"gone", "m": b"moves", "s": b"s"}
    send(client, *before.values())
    run = submitted(client, offer(client, before)["snapshot"])
    after = {"train.py": b"b", "new.py": b"new", "to/m": b"moves", "s": b"s"}
    manifest = offer(client, after)["manifest"]
    page = look(client, manifest, run.experiment.name)
    assert "1 new, 1 changed, 1 moved, 1 gone, 1 as before" in page
    for sign, path in (("+", "new.py"), ("~", "train.py"), ("-", "old.py")):
        assert f'<span class="change-sign">{sign}</span> {path}' in page
    assert "m → to/m" in page
    send(client, *after.values())
    same = submitted(client, offer(client, after)["snapshot"])
    assert "The same as" in look(client, manifest, same.experiment.name)


def test_large_files_and_folders_of_data_are_told(
    client: Client, settings: Settings
) -> None:
    settings.SNAPSHOT_LARGE_FILE_BYTES = 1000
    images = {f"images/{number}.png": b"%d" % number for number in range(500)}
    files = {"train.py": unlike_any("data"), "w.bin": bytes(1000), **images}
    page = look(client, offer(client, files)["manifest"])
    assert "1.0 kB, a large file" in page
    assert "500 files, 1.4 kB, looks like data" in page


def test_a_large_tree_comes_folder_by_folder(client: Client) -> None:
    files = {f"f{n % 20}/{n}.py": b"%d" % n for n in range(500)}
    manifest = offer(client, files)["manifest"]
    assert "7.py" not in look(client, manifest).partition("The largest")[0]
    inside = look(client, manifest, folder="f7")
    assert "27.py" in inside
    assert "28.py" not in inside


def test_what_is_no_manifest_is_not_found(client: Client) -> None:
    """Whatever an object holds that somebody sent under its true name."""
    hostile = json.dumps([{"path": "../x", "size": 0, "sha256": sha256(b"")}]).encode()
    send(client, hostile, b"text")
    for name in (sha256(hostile), sha256(b"text"), sha256(b"absent")):
        url = f"/runs/snapshots/{name}/preflight/"
        assert client.get(url).status_code == 404


def test_what_is_larger_than_any_manifest_takes_no_memory(client: Client) -> None:
    huge = store().put(Zeros(LONGEST_OFFER + 1)).sha256
    tracemalloc.start()
    try:
        answer = client.get(f"/runs/snapshots/{huge}/preflight/")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 404
    assert peak < 16 * 1024 * 1024
