"""The pages of runs, experiments and the home page as browsers get them."""

import itertools
import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import history
from runs.models import Experiment, Run, RunTag
from tests.factories import ended_run, person, signed_in, this_python

pytestmark = pytest.mark.django_db
PAGES = ["/", "/runs/", "/experiments/", "/experiments/tests/", "/environments/"]
PAGES += ["/environments/new/", "/compute/", "/runs/new/"]
LISTS = ["/", "/runs/", "/experiments/tests/"]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def client() -> Client:
    return signed_in(person())


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


@pytest.mark.parametrize("address", LISTS)
def test_a_part_for_htmx_is_not_mistaken_for_the_page(
    client: Client, address: str
) -> None:
    ended_run()
    for headers, whole in (
        ({}, True),
        (HTMX, False),
        ({**HTMX, "HX-History-Restore-Request": "true"}, True),
    ):
        answer = client.get(address, headers=headers)
        assert ("<html" in answer.content.decode()) == whole
        varying = {name.strip() for name in answer["Vary"].split(",")}
        assert varying >= {"HX-Request", "HX-History-Restore-Request"}


def test_the_part_for_htmx_is_the_one_in_the_page(client: Client) -> None:
    some_runs(2)
    address = "/runs/?text=run&sort=name"
    part = without_token(page(client, address, **HTMX))
    assert part.strip().startswith('<section id="run-list"')
    assert part.strip() in without_token(page(client, address))


def without_token(html: str) -> str:
    """The token of a form is another one in each answer."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r"\1", html)


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


def test_this_python_is_offered(client: Client) -> None:
    assert this_python().name in page(client, "/runs/new/")


# The list of runs.


def shown(html: str) -> list[str]:
    return re.findall(r'<tr data-run="([^"]+)"', html)


def link(html: str, way: str) -> str:
    """Where the link to the page beside this one leads, "" if there is none."""
    found = re.search(rf'rel="{way}"\s+href="([^"]+)"', html)
    return f"/runs/{unescape(found[1])}" if found else ""


def test_the_pages_lead_to_each_other_and_keep_the_filter(client: Client) -> None:
    wanted = [ended_run(display_name=f"a & b {number % 5}") for number in range(120)]
    ended_run(display_name="other")
    address = "/runs/?text=a+%26+b&state=Completed&sort=name"
    pages = [page(client, address)]
    while link(pages[-1], "next"):
        pages.append(page(client, link(pages[-1], "next")))
    assert [len(shown(html)) for html in pages] == [50, 50, 20]
    expected = sorted(wanted, key=lambda run: (run.display_name, run.pk))
    assert [each for html in pages for each in shown(html)] == [
        run.run_id for run in expected
    ]
    for html in pages:
        assert "<strong>120</strong> runs" in html
        assert (
            'name="query" value="state=Completed&amp;text=a+%26+b&amp;sort=name"'
            in html
        )
    back = page(client, link(pages[2], "prev"))
    assert shown(back) == shown(pages[1])
    assert shown(page(client, link(back, "prev"))) == shown(pages[0])
    assert not link(pages[0], "prev")


def test_each_condition_has_a_chip_that_takes_it_away(client: Client) -> None:
    ended_run()
    html = page(client, "/runs/?state=Failed&text=%3Cb%3E&archived=1")
    chips = re.findall(r'<a class="chip" href="\?([^"]*)">([^<]+)<', html)
    assert [(unescape(query), unescape(words)) for query, words in chips] == [
        ("text=%3Cb%3E&archived=1", "Failed"),
        ("state=Failed&archived=1", "text: <b>"),
        ("state=Failed&text=%3Cb%3E", "Archived"),
    ]
    assert "No run matches" in html


def test_a_click_on_a_column_sorts_and_another_turns_it_round(client: Client) -> None:
    ended_run()
    for sort in history.SORTS:
        html = page(client, f"/runs/?sort={sort}&user=ada")
        (head,) = re.findall(r'aria-sort="ascending"[^<]*<a href="\?([^"]*)"', html)
        turned = page(client, f"/runs/?{unescape(head)}")
        assert len(re.findall('aria-sort="descending"', turned)) == 1
        assert 'name="user"\n             value="ada"' in turned


def test_a_history_without_runs_says_how_to_begin(client: Client) -> None:
    html = page(client, "/runs/")
    assert "No runs yet" in html
    assert "<strong>0</strong> runs" in html


HOSTILE = ["\0", "%", "_", "\\", "'", '"', "<b>", "x" * 6000, "9" * 6000, "é\u202e😀"]
HOSTILE += [
    "-1",
    "1e999",
    "NaN",
    "[]",
    "../..",
    "{{ 7 }}",
    "%s %(a)s {0}",
    "a=b=c",
    "=",
]


@pytest.mark.parametrize("address", ["/runs/", "/experiments/tests/"])
def test_hostile_values_are_answered(client: Client, address: str) -> None:
    ended_run()
    names = ["state", "experiment", "target", "user", "tag", "since", "until", "text"]
    for name, value in itertools.product([*names, "archived", "sort", "at"], HOSTILE):
        answer = client.get(address, {"sort": "duration", name: value})
        html = answer.content.decode()
        assert answer.status_code == 200, (name, value)
        assert "<b>" not in html
        said = html.count('role="alert"')
        assert said == (name in ("state", "since", "until", "sort")), (name, value)


def test_what_is_no_address_of_a_page_is_answered(client: Client) -> None:
    ended_run()
    for query in (
        "%FF%FE",
        "=",
        "&&&",
        "state",
        "at=%ED%A0%80",
        "text=%",
        "state=&at=",
    ):
        page(client, f"/runs/?{query}")
    assert client.get("/runs/?" + "a&" * 5000).status_code == 400
