"""What is done to several runs at once, and what is said about it."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from computes.models import ComputeTarget
from runs.models import Run, RunTag
from tests.factories import ended_run, person, signed_in

pytestmark = pytest.mark.django_db
ACTIONS = ["cancel", "tag", "untag", "archive", "restore", "delete"]
LEFT_ALONE = "1 run was left alone: only the owner of a run"
NOTHING = "Nothing was done: choose what to do with the runs."


@pytest.fixture
def client() -> Client:
    return signed_in(person())


def some_runs(count: int, **fields: Any) -> list[Run]:
    return [ended_run(cleaned_at=timezone.now(), **fields) for _ in range(count)]


def waiting_run(**fields: Any) -> Run:
    return ended_run(status="Queued", duration=None, **fields)


def do(client: Client, action: str, runs: list[Run], **more: str) -> str:
    """What the page says afterwards."""
    data = {"action": action, "run": [run.run_id for run in runs], **more}
    answer = client.post("/runs/bulk/", data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def rows() -> list[tuple[object, ...]]:
    """All that an action could change."""
    runs = Run.objects.order_by("pk")
    return [
        *runs.values_list("pk", "status", "archived_at"),
        *RunTag.objects.order_by("pk").values_list("run", "name", "value"),
    ]


def test_a_tag_is_set_and_taken_away(client: Client) -> None:
    runs = some_runs(3)
    RunTag.objects.create(run=runs[0], name="best", value="no")
    assert "2 runs got the tag “best”." in do(
        client, "tag", runs[:2], tag_name=" best ", tag_value="yes"
    )
    assert [[str(tag) for tag in run.tags.all()] for run in runs] == [
        ["best=yes"],
        ["best=yes"],
        [],
    ]
    # The third has none to lose.
    said = do(client, "untag", [runs[0], runs[2]], tag_name="best")
    assert "The tag “best” was taken from 1 run." in said
    assert RunTag.objects.get().run == runs[1]


def test_runs_are_archived_and_restored(client: Client) -> None:
    runs = some_runs(3)
    assert "3 runs archived." in do(client, "archive", runs)
    assert "0 runs archived." in do(client, "archive", runs)
    assert not Run.objects.filter(archived_at=None).exists()
    assert "1 run brought back" in do(client, "restore", runs[:1])
    assert Run.objects.get(archived_at=None) == runs[0]


def test_runs_that_wait_are_canceled_and_ended_ones_are_not(client: Client) -> None:
    waiting = [waiting_run(), waiting_run()]
    done = ended_run()
    said = do(client, "cancel", [*waiting, done])
    assert "The cancel of 2 runs is under way. 1 run had ended already." in said
    states = dict(Run.objects.values_list("pk", "status"))
    assert [states[run.pk] for run in (*waiting, done)] == [
        "Canceled",
        "Canceled",
        "Completed",
    ]


def test_runs_that_end_without_a_cancel_are_told_from_ended_ones(
    client: Client,
) -> None:
    at_its_end = ended_run(status="Finalizing", duration=None)
    said = do(client, "cancel", [waiting_run(), at_its_end, ended_run()])
    assert (
        "The cancel of 1 run is under way. 1 run will end without it."
        " 1 run had ended already." in said
    )


def test_a_cancel_of_a_run_at_work_is_asked_for(client: Client) -> None:
    at_work = ended_run(status="Running", duration=None)
    do(client, "cancel", [at_work])
    at_work.refresh_from_db()
    assert at_work.status == "CancelRequested"
    assert at_work.events.get().detail == "Cancel requested by ada."


@pytest.mark.parametrize("status", ["Queued", "Preparing", "Running", "Finalizing"])
def test_runs_at_work_are_not_deleted(client: Client, status: str) -> None:
    done = ended_run(cleaned_at=timezone.now())
    at_work = ended_run(status=status)
    said = do(client, "delete", [done, at_work])
    assert "1 run deleted. 1 run left: cancel them first." in said
    assert Run.objects.get() == at_work
    assert client.get(f"/runs/{done.run_id}/").status_code == 404


def test_the_files_go_with_their_run(client: Client) -> None:
    (run,) = some_runs(1)
    folder = Path(settings.DATA) / "runs" / run.run_id
    (folder / "logs").mkdir(parents=True)
    assert "1 run deleted." in do(client, "delete", [run])
    assert not folder.exists()


def test_a_run_that_is_still_on_its_target_is_kept(client: Client) -> None:
    """Nobody who looks at a page waits until that answers."""
    run = ended_run(status="Failed")
    said = do(client, "delete", [*some_runs(2), run])
    assert "2 runs deleted. 1 run could not be deleted: The run is still being" in said
    assert "cleared away. Try again in a moment." in said
    trouble = "It does not answer."
    ComputeTarget.objects.filter(pk=run.target_id).update(trouble=trouble)
    alone = client.post(f"{run.get_absolute_url()}delete/")
    assert alone.status_code == 400
    assert f"local, which is in trouble: {trouble}" in alone.content.decode()
    assert Run.objects.get() == run


# Which ones.


def test_all_that_match_are_more_than_the_page_shows(client: Client) -> None:
    some_runs(60)
    ended_run(display_name="other", status="Failed")
    said = do(client, "archive", [], all="1", query="state=Completed")
    assert "60 runs archived." in said
    assert Run.objects.get(archived_at=None).display_name == "other"


@pytest.mark.parametrize("action", ACTIONS)
def test_all_that_match_are_counted_as_they_were_before(
    client: Client, action: str
) -> None:
    """The action may end what they match by."""
    shown = {"cancel": "Queued", "restore": "Completed"}.get(action, "Failed")
    archived_at = timezone.now() if action == "restore" else None
    for run in some_runs(3, status=shown, archived_at=archived_at):
        RunTag.objects.create(run=run, name="a")
    ended_run(status="Canceled")
    query = f"state={shown}&tag=a" + ("&archived=1" if archived_at else "")
    said = do(client, action, [], all="1", query=query, tag_name="a")
    assert "3 runs" in said


def test_a_long_filter_is_taken_whole(client: Client) -> None:
    some_runs(2)
    some_runs(1, display_name="the one")
    # Without its end, it would match all.
    query = urlencode({"anything": "é" * 9999, "text": "the one"})
    assert "1 run archived." in do(client, "archive", [], all="1", query=query)


@pytest.mark.parametrize("query", ["state=Nonsense", "since=never", "sort=color"])
def test_a_filter_without_sense_chooses_nothing(client: Client, query: str) -> None:
    some_runs(2)
    assert "0 runs deleted." in do(client, "delete", [], all="1", query=query)
    assert Run.objects.count() == 2


def test_the_list_comes_back_as_it_was_filtered(client: Client) -> None:
    run = ended_run()
    query = "state=Completed&text=a+b&sort=-duration"
    answer = client.post(
        "/runs/bulk/", {"action": "archive", "run": run.run_id, "query": query}
    )
    assert answer["Location"] == f"/runs/?{query}"


# Who may.


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("all_matching", ["", "1"])
def test_runs_of_others_are_left_alone(
    client: Client, action: str, all_matching: str
) -> None:
    archived_at = timezone.now() if action == "restore" else None
    status = "Failed" if action == "delete" else "Queued"
    (other,) = some_runs(1, owner=person("bob"), status=status, archived_at=archived_at)
    RunTag.objects.create(run=other, name="a", value="b")
    before = rows()
    query = "archived=1" if archived_at else ""
    more = {"all": all_matching, "query": query, "tag_name": "a"}
    assert LEFT_ALONE in do(client, action, [other], **more)
    assert rows() == before
    administrator = signed_in(User.objects.create_superuser("root"))
    assert LEFT_ALONE not in do(administrator, action, [other], **more)
    assert rows() != before


def test_of_several_only_ones_own_are_changed(client: Client) -> None:
    mine, other = ended_run(), ended_run(owner=person("bob"))
    said = do(client, "archive", [mine, other])
    assert "1 run archived." in said
    assert LEFT_ALONE in said
    assert Run.objects.get(archived_at=None) == other


def test_a_stranger_changes_nothing() -> None:
    run = ended_run()
    data = {"action": "archive", "run": run.run_id}
    answer = Client().post("/runs/bulk/", data)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")
    assert Run.objects.filter(archived_at=None).exists()


def test_an_address_alone_changes_nothing(client: Client) -> None:
    run = ended_run()
    answer = client.get("/runs/bulk/", {"action": "archive", "run": run.run_id})
    assert answer.status_code == 405
    assert Run.objects.filter(archived_at=None).exists()


def test_a_form_without_its_token_changes_nothing() -> None:
    run = ended_run()
    client = Client(enforce_csrf_checks=True)
    client.force_login(person())
    answer = client.post("/runs/bulk/", {"action": "archive", "run": run.run_id})
    assert answer.status_code == 403
    assert Run.objects.filter(archived_at=None).exists()


# Nonsense.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, NOTHING),
        ({"action": "nonsense"}, NOTHING),
        ({"action": "CANCEL"}, NOTHING),
        ({"action": "tag", "tag_name": " "}, "A tag needs a name"),
        ({"action": "tag", "tag_name": "x" * 300}, "The name of a tag has at most"),
        (
            {"action": "tag", "tag_name": "a", "tag_value": "x" * 2000},
            "The value of a tag has at most",
        ),
        ({"action": "untag", "tag_name": "none"}, "was taken from 0 runs."),
        ({"action": "restore"}, "0 runs brought back"),
        ({"action": "archive", "run": "\0"}, "0 runs archived."),
        ({"action": "archive", "run": "x" * 9999}, "0 runs archived."),
        ({"action": "archive", "run": "", "query": "at=%00&state=\0"}, "0 runs"),
    ],
)
def test_nonsense_does_nothing(
    client: Client, data: dict[str, str], words: str
) -> None:
    run = ended_run()
    before = rows()
    answer = client.post("/runs/bulk/", {"run": run.run_id, **data}, follow=True)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert rows() == before


def test_the_name_of_a_tag_is_shown_as_text(client: Client) -> None:
    said = do(client, "tag", some_runs(1), tag_name="<b>bold</b>")
    assert "<b>" not in said
    assert "&lt;b&gt;bold" in said


def test_enter_in_the_field_of_a_tag_sets_it() -> None:
    """A browser takes the first button of a form; that must not be Cancel."""
    ended_run()
    html = signed_in(person()).get("/runs/").content.decode()
    form = html[html.index('<form id="bulk"') :]
    first = re.search(r"<button[^>]*?value=\"(\w+)\"", form)
    assert first
    assert first[1] == "tag"
