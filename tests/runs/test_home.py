"""The first page: what runs now, what ran lately, where, and how to begin."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from computes.models import ComputeTarget
from runs.status import ACTIVE, TERMINAL
from tests.factories import ended_run, person, signed_in, target

pytestmark = pytest.mark.django_db
WELCOME = "Three steps to the first run"


@pytest.fixture
def client() -> Client:
    return signed_in(person())


def home(client: Client, **headers: str) -> str:
    answer = client.get("/", headers=headers or None)
    assert answer.status_code == 200
    return answer.content.decode()


def cards(html: str) -> dict[str, str]:
    """Each card by the id of its title."""
    found = re.findall(
        r'<section class="card[^>]*"(\w+)-title">(.*?)</section>', html, re.S
    )
    return dict(found)


def test_it_says_how_to_begin(client: Client) -> None:
    html = home(client)
    assert set(cards(html)) == {"welcome", "targets"}
    assert WELCOME in html
    assert 'action="/runs/new/example/"' in html
    assert "Run the digits example" in html


@pytest.mark.parametrize("status", ["Queued", "Completed"])
def test_with_a_run_it_does_not(client: Client, status: str) -> None:
    ended_run(status=status)
    assert WELCOME not in home(client)


@pytest.mark.parametrize("status", [*ACTIVE, *TERMINAL])
def test_a_run_is_active_or_recent(client: Client, status: str) -> None:
    ended_run(display_name="the run", status=status)
    shown = {name for name, html in cards(home(client)).items() if "the run" in html}
    assert shown == {"active" if status in ACTIVE else "recent"}


def test_archived_runs_are_not_shown(client: Client) -> None:
    for status in ("Running", "Failed"):
        ended_run(display_name="gone", status=status, archived_at=timezone.now())
    assert "gone" not in home(client)


def test_the_newest_come_first_and_not_too_many(client: Client) -> None:
    for number in range(30):
        ended_run(display_name=f"done {number:02}")
        ended_run(display_name=f"busy {number:02}", status="Running")
    shown = cards(home(client))
    recent = re.findall(r">(done \d\d)<", shown["recent"])
    active = re.findall(r">(busy \d\d)<", shown["active"])
    assert recent == [f"done {number}" for number in range(29, 19, -1)]
    assert active == [f"busy {number}" for number in range(29, 9, -1)]
    # The heading counts those, too, that are not shown.
    assert '<span class="count">30</span>' in shown["active"]


def test_a_target_shows_its_places_and_who_waits(client: Client) -> None:
    one, other = target(), target(name="other", max_runs=5)
    ComputeTarget.objects.filter(pk=one.pk).update(
        last_seen_at=timezone.now() - timedelta(hours=3)
    )
    for status in (
        "Running",
        "CancelRequested",
        "Queued",
        "Queued",
        "Queued",
        "Failed",
    ):
        ended_run(target=one, status=status)
    ended_run(target=other, status="Preparing")
    html = " ".join(cards(home(client))["targets"].split())
    first, second = html.split('<li class="target">')[1:]
    assert "2 of 2 places in use" in first
    assert "3 waiting" in first
    assert "never" not in first
    assert "1 of 5 places in use" in second
    assert "none waiting" in second
    assert "never: is the monitor running?" in second


def test_a_detached_target_is_not_shown(client: Client) -> None:
    target(name="retired")
    ComputeTarget.objects.filter(name="retired").update(detached_at=timezone.now())
    assert "retired" not in home(client)


def test_it_asks_as_often_for_many_runs_as_for_few(client: Client) -> None:
    def fill(count: int) -> None:
        for number in range(count):
            host = target(name=f"t{ComputeTarget.objects.count()}")
            ended_run(target=host, owner=person(f"u{number}"))
            ended_run(target=host, status="Running", experiment=f"e{number}")

    fill(1)
    few = queries(client)
    fill(15)
    assert queries(client) == few


def queries(client: Client) -> int:
    with CaptureQueriesContext(connection) as context:
        home(client)
    return len(context)


def test_the_runs_of_all_people_are_shown(client: Client) -> None:
    ended_run(display_name="of bob", owner=person("bob"))
    assert "of bob" in home(client)


def test_the_part_that_changes_is_had_alone(client: Client) -> None:
    ended_run(display_name="the run")
    part = home(client, **{"HX-Request": "true"})
    assert "<html" not in part
    assert part.strip().startswith('<div id="home-runs"')
    assert "the run" in part
    assert part.strip() in home(client)
