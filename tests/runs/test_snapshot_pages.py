"""The page of a snapshot: its files, and the runs that used it."""

import io
import zipfile
from urllib.parse import quote

import pytest
from django.test import Client

from runs.models import Snapshot
from tests import factories
from tests.runs.answers import body_of, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_ODD = "<img src=x onerror=alert(1)>\n\u202e.txt"


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


@pytest.fixture
def snapshot() -> Snapshot:
    return factories.snapshot(
        {"train.py": "print(1)", "README.md": "# Hi", "deep/er/x.bin": b"\0\1"}
    )


def test_a_snapshot_that_no_run_uses_has_a_page(
    client: Client, snapshot: Snapshot
) -> None:
    page = text_of(client.get(snapshot.get_absolute_url()))
    assert f"Snapshot {snapshot.pk[:12]}" in page
    assert snapshot.pk in page
    assert "3 files" in page
    assert "# Hi" in page, "Without a script, the README is shown first."
    assert "No run uses this snapshot" in page
    assert client.get(f"/snapshots/{'0' * 64}/").status_code == 404
    assert client.get("/snapshots/short/").status_code == 404


def test_its_files_are_shown_and_sent(client: Client, snapshot: Snapshot) -> None:
    base = snapshot.get_absolute_url()
    assert "print(1)" in text_of(client.get(f"{base}?file=train.py"))
    assert "x.bin" in text_of(client.get(f"{base}tree/?folder=deep/er"))
    assert body_of(client.get(f"{base}file/?name=deep/er/x.bin")) == b"\0\1"
    assert "print(1)" in text_of(client.get(f"{base}file/?name=train.py&as=preview"))
    for name in ("", "none", "deep", "../train.py", "/train.py"):
        assert client.get(f"{base}file/?name={name}").status_code == 404
    answer = client.get(f"{base}zip/")
    assert f"snapshot_{snapshot}.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(body_of(answer))) as archive:
        assert archive.read("deep/er/x.bin") == b"\0\1"


def test_the_runs_that_used_it_are_listed(client: Client, snapshot: Snapshot) -> None:
    runs = [
        factories.ended_run(experiment="digits", display_name=f"name-{number}")
        for number in range(27)
    ]
    for run in runs:
        run.snapshot = snapshot
        run.save()
    other = factories.submit("print(2)", display_name="other")
    first = text_of(client.get(snapshot.get_absolute_url()))
    second = text_of(client.get(f"{snapshot.get_absolute_url()}?page=2"))
    assert "used by 27 runs" in first
    assert "print(1)" in first, "The script of the last run is shown."
    assert [run for run in runs if run.get_absolute_url() in first] == runs[2:]
    assert [run for run in runs if run.get_absolute_url() in second] == runs[:2]
    assert other.get_absolute_url() not in first + second


def test_an_odd_name_is_listed_shown_and_sent(client: Client) -> None:
    snapshot = factories.snapshot({_ODD: "content of it"})
    base = snapshot.get_absolute_url()
    page = client.get(f"{base}?file={quote(_ODD)}")
    assert "content of it" in text_of(page)
    assert b"<img src=x" not in page.content
    assert "\u202e" not in page.content.decode()
    assert body_of(client.get(f"{base}file/?name={quote(_ODD)}")) == b"content of it"


def test_the_page_of_a_run_leads_there(client: Client, snapshot: Snapshot) -> None:
    run = factories.submit(snapshot=snapshot)
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=snapshot"))
    assert f'href="{snapshot.get_absolute_url()}"' in page
