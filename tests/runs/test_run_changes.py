"""What the page of a run tells of the changes in its source."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from runs.models import Run, Snapshot
from runs.run_views import PANELS
from tests import factories
from tests.runs.answers import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_HTMX = {"HX-Request": "true"}


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


@pytest.fixture
def old() -> Snapshot:
    return factories.snapshot({"train.py": "1\n", "a": "a", "b": "b"})


@pytest.fixture
def new() -> Snapshot:
    return factories.snapshot({"train.py": "2\n", "a": "a!", "b": "b"})


def plain(page: str) -> str:
    """The text of a page, with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))


def diff_of(before: Snapshot, after: Snapshot) -> str:
    return f"/snapshots/{before.pk}/diff/{after.pk}/"


def runs(*snapshots: Snapshot, **fields: Any) -> list[Run]:
    return [factories.submit(snapshot=each, **fields) for each in snapshots]


def snapshot_panel(client: Client, run: Run, more: str = "") -> str:
    address = f"/runs/{run.run_id}/panels/snapshot/{more}"
    return text_of(client.get(address, headers=_HTMX))


def test_a_run_tells_what_changed_since_the_one_before(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    [first] = runs(old, experiment="one")
    runs(old, experiment="other")
    [second] = runs(new, experiment="one")
    panel = snapshot_panel(client, second)
    assert "2 files changed since #1" in plain(panel)
    assert f'hx-get="{diff_of(old, new)}?view=inline"' in panel
    assert first.get_absolute_url() in panel
    assert "Parent run" not in panel
    assert 'id="changes"' not in snapshot_panel(client, first)


def test_a_run_is_compared_with_its_parent_as_well(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    [parent] = runs(old, experiment="one", display_name="ancestor")
    runs(new, experiment="one")
    [run] = runs(new, experiment="one", parent=parent)
    panel = snapshot_panel(client, run)
    assert "the same as of #2" in plain(panel)
    assert "#2 has the same snapshot: no file changed." in plain(panel)
    panel = snapshot_panel(client, run, "?since=parent")
    assert "2 files changed since ancestor" in plain(panel)
    assert diff_of(old, new) in panel
    assert "since #2" in plain(snapshot_panel(client, run, "?since=nobody"))


def test_a_parent_that_is_the_run_before_is_no_choice(
    client: Client, old: Snapshot, new: Snapshot
) -> None:
    [parent] = runs(old)
    [run] = runs(new, parent=parent)
    assert "Parent run" not in snapshot_panel(client, run)


def test_a_damaged_snapshot_before_harms_no_run(client: Client, new: Snapshot) -> None:
    lost = factories.snapshot({"lost.py": "only here"})
    # Nothing has read it in this process, which would remember it.
    before, run = factories.ended_run(), factories.ended_run()
    before.snapshot, run.snapshot = lost, new
    before.save()
    run.save()
    Path(settings.OBJECTS_FOLDER, lost.pk[:2], lost.pk[2:]).unlink()
    panel = snapshot_panel(client, run)
    assert "missing in the portal's store" in panel
    assert "files changed" not in panel


def test_only_the_panel_of_the_snapshot_looks_for_changes(
    client: Client, old: Snapshot, new: Snapshot, django_assert_max_num_queries: Any
) -> None:
    parent, _ = runs(old, old)
    [run] = runs(new, parent=parent)
    for panel in PANELS:
        with django_assert_max_num_queries(20) as asked:
            text_of(client.get(f"/runs/{run.run_id}/panels/{panel}/", headers=_HTMX))
        looks = [q for q in asked.captured_queries if _looks_back(q["sql"])]
        assert len(looks) == (1 if panel == "snapshot" else 0)


def test_many_changes_cost_no_more_queries(
    client: Client, old: Snapshot, django_assert_max_num_queries: Any
) -> None:
    many = factories.snapshot({"train.py": "1\n", **{f"{n}": "" for n in range(99)}})
    [run] = runs(old, many)[1:]
    with django_assert_max_num_queries(9):
        snapshot_panel(client, run)
    with django_assert_max_num_queries(5):
        text_of(client.get(diff_of(old, many), headers=_HTMX))


def _looks_back(sql: str) -> bool:
    return '"experiment_id" = ' in sql and '"runs_run"."id" < ' in sql
