"""The pages of runs, experiments and the home page as browsers get them."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from computes.models import ComputeTarget
from runs.models import Experiment, Run, RunTag
from tests.factories import ended_run, person, this_python

pytestmark = pytest.mark.django_db
PAGES = ["/", "/runs/", "/experiments/", "/experiments/tests/", "/environments/"]
PAGES += ["/environments/new/", "/compute/", "/runs/new/"]
HTMX = {"HX-Request": "true"}
LEFT_ALONE = "1 run was left alone: only the owner of a run"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(person())
    return client


@pytest.fixture
def administrator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def some_runs(count: int) -> list[Run]:
    return [ended_run(display_name=f"run {number}") for number in range(count)]


def page(client: Client, address: str, **more: str) -> str:
    answer = client.get(address, headers=more or None)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("count", [0, 3])
def test_every_page_is_shown_empty_and_full_without_inline_code(
    client: Client, count: int
) -> None:
    Experiment.objects.create(name="tests", owner=person())
    some_runs(count)
    for address in PAGES:
        html = page(client, address)
        assert "<h1" in html, address
        assert not re.search(r"<script(?![^>]*\b(?:src|type=.application/json.))", html)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html), address


@pytest.mark.parametrize("address", PAGES)
def test_a_stranger_is_asked_to_sign_in(address: str) -> None:
    answer = Client().get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


def test_the_home_page_says_how_to_begin(client: Client) -> None:
    html = page(client, "/")
    assert "Three steps to the first run" in html
    assert "Run the digits example" in html
    some_runs(1)
    assert "Three steps to the first run" not in page(client, "/")


def test_the_home_page_shows_what_runs_and_what_ran(client: Client) -> None:
    ended_run(display_name="done")
    ended_run(display_name="at work", status="Running", started_at=timezone.now())
    ended_run(display_name="put away", archived_at=timezone.now())
    ComputeTarget.objects.update(last_seen_at=timezone.now() - timedelta(hours=3))
    html = page(client, "/")
    active, recent = html.index("at work"), html.index("done</a>")
    assert html.index("Active") < active < html.index("Recent") < recent
    assert "put away" not in html
    assert "1 of 2 places in use" in html


def test_a_part_for_htmx_is_not_mistaken_for_the_page(client: Client) -> None:
    for address in ("/", "/runs/", "/experiments/tests/"):
        Experiment.objects.get_or_create(name="tests", owner=person())
        part = client.get(address, headers=HTMX)
        assert "<html" not in part.content.decode()
        assert "HX-Request" in part["Vary"]
        again = client.get(
            address, headers={**HTMX, "HX-History-Restore-Request": "true"}
        )
        assert "<html" in again.content.decode()


def test_a_page_asks_as_often_for_many_runs_as_for_few(client: Client) -> None:
    addresses = ("/", "/runs/", "/experiments/tests/")
    for run in some_runs(2):
        RunTag.objects.create(run=run, name="a")
    few = [queries(client, address) for address in addresses]
    for run in some_runs(40):
        RunTag.objects.create(run=run, name="a")
    assert [queries(client, address) for address in addresses] == few


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as context:
        page(client, address)
    return len(context)


def test_what_a_filter_made_of_nonsense_is_said(client: Client) -> None:
    html = page(client, "/runs/?state=%3Cscript%3E&since=x")
    assert "“&lt;script&gt;” is not a state of a run." in html
    assert "“x” is not a day." in html


def test_a_view_can_be_shared(client: Client) -> None:
    some_runs(3)
    ended_run(display_name="the one", status="Failed")
    html = page(client, "/runs/?state=Failed&text=one&sort=name")
    assert "the one" in html
    assert "run 1" not in html
    assert 'value="one"' in html
    assert re.search(r'value="Failed"\s+checked', html)
    assert "?state=Failed&amp;text=one&amp;sort=-name" in html


def test_names_are_shown_as_text(client: Client) -> None:
    run = ended_run(display_name="<img src=x onerror=alert(1)>")
    RunTag.objects.create(run=run, name="<b>", value="</td><script>")
    for address in ("/", "/runs/", "/experiments/tests/"):
        html = page(client, address)
        assert "<img src=x" not in html
        assert "<b>" not in html
        assert "</td><script>" not in html


def test_experiments_come_in_pages(client: Client) -> None:
    for number in range(60):
        Experiment.objects.create(name=f"e{number:02}", owner=person())
    ended_run(experiment="e59")
    first, second = page(client, "/experiments/"), page(client, "/experiments/?page=2")
    assert first.index("e59") < first.index("e00")
    assert "e55" not in first
    assert "e55" in second
    for nonsense in ("0", "-1", "99", "x", ""):
        page(client, f"/experiments/?page={nonsense}")


def test_an_experiment_is_created(client: Client) -> None:
    answer = client.post("/experiments/", {"name": "new-one", "description": "why"})
    assert answer["Location"] == "/experiments/new-one/"
    again = client.post("/experiments/", {"name": "new-one"})
    assert "There is an experiment of this name: open that." in again.content.decode()


@pytest.mark.parametrize("name", ["", "a b", "../up", "é", "x" * 300, "<b>", "-x"])
def test_a_bad_name_of_an_experiment_is_refused(client: Client, name: str) -> None:
    answer = client.post("/experiments/", {"name": name})
    assert answer.status_code == 200
    assert not Experiment.objects.exists()


def test_an_unknown_experiment_is_not_found(client: Client) -> None:
    assert client.get("/experiments/none/").status_code == 404


# Several at once.


def do(client: Client, action: str, runs: list[Run], **more: str) -> str:
    data = {"action": action, "run": [run.run_id for run in runs], **more}
    return client.post("/runs/bulk/", data, follow=True).content.decode()


def test_several_are_tagged_archived_and_restored(client: Client) -> None:
    runs = some_runs(3)
    assert "2 runs got the tag “best”." in do(
        client, "tag", runs[:2], tag_name=" best ", tag_value="yes"
    )
    assert set(runs[0].tags.values_list("name", "value")) == {("best", "yes")}
    assert not runs[2].tags.exists()
    do(client, "untag", runs[:1], tag_name="best")
    assert RunTag.objects.get().run == runs[1]
    assert "3 runs archived." in do(client, "archive", runs)
    assert "0 runs archived." in do(client, "archive", runs)
    assert not Run.objects.filter(archived_at=None).exists()
    assert "1 run brought back" in do(client, "restore", runs[:1])


def test_all_that_match_are_more_than_the_page_shows(client: Client) -> None:
    some_runs(60)
    ended_run(display_name="other", status="Failed")
    said = do(client, "archive", [], all="1", query="state=Completed")
    assert "60 runs archived." in said
    assert Run.objects.get(archived_at=None).display_name == "other"


def test_runs_that_wait_are_canceled_and_ended_ones_are_not(client: Client) -> None:
    waiting = [ended_run(status="Queued", duration=None) for _ in range(2)]
    said = do(client, "cancel", [*waiting, ended_run()])
    assert "The cancel of 2 runs is under way. 1 run had ended already." in said
    assert {
        run.status for run in Run.objects.filter(pk__in=[r.pk for r in waiting])
    } == {"Canceled"}


def test_runs_at_work_are_not_deleted(client: Client) -> None:
    done = ended_run(cleaned_at=timezone.now())
    at_work = ended_run(status="Running")
    said = do(client, "delete", [done, at_work])
    assert "1 run deleted. 1 run left: cancel them first." in said
    assert Run.objects.get() == at_work
    assert client.get(f"/runs/{done.run_id}/").status_code == 404


@pytest.mark.parametrize("action", ["cancel", "tag", "archive", "delete"])
def test_runs_of_others_are_left_alone(
    client: Client, administrator: Client, action: str
) -> None:
    mine = ended_run(status="Queued", duration=None)
    other = ended_run(status="Queued", duration=None, owner=person("bob"))
    said = do(client, action, [mine, other], tag_name="x")
    assert LEFT_ALONE in said
    other.refresh_from_db()
    assert (other.status, other.archived_at) == ("Queued", None)
    assert not other.tags.exists()
    assert LEFT_ALONE not in do(administrator, action, [other], tag_name="x")


@pytest.mark.parametrize(
    "data",
    [
        {"action": "nonsense"},
        {},
        {"action": "tag", "tag_name": ""},
        {"action": "tag", "tag_name": "x" * 300},
        {"action": "archive", "query": "at=%00&state=\0", "run": "\0"},
    ],
)
def test_nonsense_does_nothing(client: Client, data: dict[str, str]) -> None:
    run = ended_run()
    answer = client.post("/runs/bulk/", {"run": run.run_id, **data}, follow=True)
    assert answer.status_code == 200
    run.refresh_from_db()
    assert run.archived_at is None
    assert not run.tags.exists()


def test_this_python_is_offered(client: Client) -> None:
    assert this_python().name in page(client, "/runs/new/")
