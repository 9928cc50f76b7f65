"""The list of experiments, new ones, and the page of one with its runs."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.experiments import experiment_page
from runs.models import Experiment, Run
from tests.factories import ended_run, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return signed_in(person())


def experiment(name: str) -> Experiment:
    return Experiment.objects.create(name=name, owner=person())


def page(client: Client, address: str, **data: str) -> str:
    answer = client.get(address, data)
    assert answer.status_code == 200
    return answer.content.decode()


# The list.


def test_those_with_the_newest_runs_come_first() -> None:
    experiment("empty-b"), experiment("empty-a")
    ended_run(experiment="late", created_at=timezone.now() - timedelta(days=9))
    ended_run(experiment="first"), ended_run(experiment="second")
    ended_run(experiment="late")
    names = [row.experiment.name for row in experiment_page("").rows]
    assert names == ["late", "second", "first", "empty-a", "empty-b"]


def test_a_row_has_the_number_of_runs_and_the_last_ones_oldest_first() -> None:
    runs = [ended_run() for _ in range(15)]
    ended_run(archived_at=timezone.now())
    ended_run(experiment="other")
    row = next(r for r in experiment_page("").rows if r.experiment.name == "tests")
    assert row.runs == 15
    assert row.latest == runs[-12:]


def test_the_last_runs_of_all_are_found_at_once() -> None:
    for number in range(30):
        for _ in range(1 + number % 3):
            ended_run(experiment=f"e{number}")
    with CaptureQueriesContext(connection) as queries:
        rows = experiment_page("").rows
    assert len(queries) == 4
    found = {row.experiment.name: len(row.latest) for row in rows}
    assert found == {f"e{number}": 1 + number % 3 for number in range(30)}


def test_archived_runs_alone_leave_an_experiment_that_is_empty() -> None:
    ended_run(archived_at=timezone.now())
    (row,) = experiment_page("").rows
    assert (row.runs, row.latest) == (0, [])


def test_experiments_come_in_pages_that_hold_each_once(client: Client) -> None:
    names = {experiment(f"e{number:03}").name for number in range(120)}
    ended_run(experiment="e077")
    pages = [experiment_page(str(number)) for number in (1, 2, 3)]
    shown = [row.experiment.name for each in pages for row in each.rows]
    assert len(shown) == 120
    assert set(shown) == names
    assert shown[0] == "e077"
    assert 'href="?page=2"' in page(client, "/experiments/")


@pytest.mark.parametrize("number", ["", "0", "-1", "1.5", "x", "\0", "²", "9" * 9999])
def test_a_page_that_is_none_is_the_nearest_one(client: Client, number: str) -> None:
    ended_run()
    assert "/experiments/tests/" in page(client, "/experiments/", page=number)


def test_the_list_asks_as_often_for_many_runs_as_for_few(client: Client) -> None:
    for name in ("a", "b"):
        ended_run(experiment=name)
    few = queries(client, "/experiments/")
    for _ in range(20):
        ended_run(experiment="a"), ended_run(experiment="b")
    assert queries(client, "/experiments/") == few


def test_the_list_asks_a_bounded_number_of_times(client: Client) -> None:
    for number in range(60):
        experiment(f"e{number}")
    full = queries(client, "/experiments/")
    for number in range(60, 200):
        experiment(f"e{number}")
    assert queries(client, "/experiments/") == full


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as context:
        page(client, address)
    return len(context)


def test_where_there_is_no_experiment_it_is_said(client: Client) -> None:
    assert "No experiments yet" in page(client, "/experiments/")
    experiment("first")
    assert "No experiments yet" not in page(client, "/experiments/")


# A new one.


def test_an_experiment_is_created(client: Client) -> None:
    answer = client.post("/experiments/", {"name": "new-one", "description": "why"})
    assert answer["Location"] == "/experiments/new-one/"
    created = Experiment.objects.get()
    assert (created.owner, created.description) == (person(), "why")


def test_a_second_one_of_a_name_is_refused(client: Client) -> None:
    experiment("new-one")
    answer = client.post("/experiments/", {"name": "new-one", "description": "why"})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "There is an experiment of this name: open that." in html
    # What was written is not lost.
    assert 'value="new-one"' in html
    assert "why</textarea>" in html


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "../up", "é", "x" * 256, "<b>", "-x", "a\0", "a/b", "a\nb"]
)
def test_a_bad_name_is_refused(client: Client, name: str) -> None:
    answer = client.post("/experiments/", {"name": name})
    assert answer.status_code == 200
    assert "invalid" in answer.content.decode()
    assert not Experiment.objects.exists()


def test_a_stranger_creates_none() -> None:
    answer = Client().post("/experiments/", {"name": "new"})
    assert answer["Location"].startswith("/sign-in/")
    assert not Experiment.objects.exists()


# The page of one.


def test_the_page_shows_the_runs_of_its_experiment_alone(client: Client) -> None:
    ended_run(display_name="mine")
    ended_run(display_name="strange", experiment="other")
    # Whatever else the address says.
    html = page(client, "/experiments/tests/", experiment="other")
    assert "mine" in html
    assert "strange" not in html


def test_the_page_is_filtered_and_sorted_as_the_history_is(client: Client) -> None:
    ended_run(display_name="well done")
    ended_run(display_name="gone wrong", status="Failed")
    html = page(client, "/experiments/tests/", state="Failed", sort="name")
    assert "gone wrong" in html
    assert "well done" not in html
    assert re.search(r'aria-sort="ascending"', html)


def test_the_page_shows_all_pages(client: Client) -> None:
    for _ in range(60):
        ended_run(), ended_run(experiment="other")
    html = page(client, "/experiments/tests/")
    shown = rows(html)
    following = re.search(r'rel="next"\s+href="\?([^"]+)"', html)
    assert following
    second = page(client, f"/experiments/tests/?{following[1].replace('&amp;', '&')}")
    shown += rows(second)
    newest_first = Run.objects.filter(experiment__name="tests")
    assert shown == list(newest_first.values_list("run_id", flat=True))


def rows(html: str) -> list[str]:
    return re.findall(r'<tr data-run="([^"]+)"', html)


def test_an_experiment_without_runs_says_so_and_has_no_filter(client: Client) -> None:
    experiment("empty")
    html = page(client, "/experiments/empty/")
    assert "No runs yet" in html
    assert "Remove a filter" not in html
    assert 'class="chip"' not in html
    filtered = page(client, "/experiments/empty/", state="Failed")
    assert "No run matches" in filtered
    assert len(re.findall('class="chip"', filtered)) == 1


def test_its_description_is_shown_as_text(client: Client) -> None:
    found = experiment("tests")
    found.description = "<script>alert(1)</script> a & b"
    found.save()
    for address in ("/experiments/", "/experiments/tests/"):
        html = page(client, address)
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt; a &amp; b" in html


@pytest.mark.parametrize("name", ["none", "TESTS", "%00", "a" * 3000, "%F0%9F", "a b"])
def test_an_unknown_experiment_is_not_found(client: Client, name: str) -> None:
    experiment("tests")
    assert client.get(f"/experiments/{name}/").status_code == 404
