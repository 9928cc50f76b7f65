"""Which runs a filter finds, and that pages of any sort hold each of them once."""

import base64
import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from runs import history
from runs.history import SORTS, HistoryFilter, page_of, parse_filter
from runs.models import Run, RunTag
from runs.status import RunStatus
from tests.factories import ended_run, person, target

pytestmark = pytest.mark.django_db
BEGIN = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def runs() -> list[Run]:
    """Sixty with many ties, and some without a duration."""
    rnd = random.Random(3)
    made = []
    for number in range(60):
        run = ended_run(
            experiment=rnd.choice(["alpha", "beta", "gamma"]),
            owner=person(rnd.choice(["ada", "bob"])),
            target=target(name=rnd.choice(["local", "other"])),
            display_name=rnd.choice(["", "baseline", "sweep 1", "sweep 2"]),
            status=rnd.choice(["Completed", "Failed", "Canceled", "Running"]),
            duration=rnd.choice([None, 1.5, 2.5, rnd.random()]),
            created_at=BEGIN + timedelta(hours=number),
        )
        if number % 3:
            RunTag.objects.create(run=run, name="model", value=f"m{number % 2}")
        made.append(run)
    return made


def found(query: str) -> list[str]:
    return [run.run_id for page in pages(query) for run in page]


def pages(query: str) -> Iterator[list[Run]]:
    wanted, _ = parse_filter(QueryDict(query))
    cursor = ""
    while True:
        page = page_of(wanted, cursor)
        yield page.runs
        if not page.next:
            return
        cursor = page.next


FILTERS: dict[str, Callable[[Run], bool]] = {
    "": lambda run: True,
    "state=Failed": lambda run: run.status == "Failed",
    "state=Failed&state=Canceled": lambda run: run.status in ("Failed", "Canceled"),
    "state=active": lambda run: run.status == "Running",
    "state=active&state=Failed": lambda run: run.status in ("Running", "Failed"),
    "experiment=beta": lambda run: run.experiment.name == "beta",
    "target=other": lambda run: run.target.name == "other",
    "user=bob": lambda run: run.owner.username == "bob",
    "tag=model": lambda run: run.tags.exists(),
    "tag=model%3Dm1": lambda run: run.tags.filter(value="m1").exists(),
    "tag=other": lambda run: False,
    "text=SWEEP": lambda run: "sweep" in run.display_name,
    "text=sweep+alpha": lambda run: (
        "sweep" in run.display_name and run.experiment.name == "alpha"
    ),
    "text=train.py": lambda run: True,
    "since=2025-03-02": lambda run: run.created_at.date() >= date(2025, 3, 2),
    "until=2025-03-02": lambda run: run.created_at.date() <= date(2025, 3, 2),
    "state=Failed&experiment=beta&user=bob&text=sweep&since=2025-03-02": lambda run: (
        run.status == "Failed"
        and run.experiment.name == "beta"
        and run.owner.username == "bob"
        and "sweep" in run.display_name
        and run.created_at.date() >= date(2025, 3, 2)
    ),
    "archived=1": lambda run: False,
}


def test_a_filter_finds_what_matches(runs: list[Run]) -> None:
    for query, matches in FILTERS.items():
        expected = [run.run_id for run in reversed(runs) if matches(run)]
        assert found(query) == expected, query
        assert parse_filter(QueryDict(query))[0].runs().count() == len(expected)


def test_archived_runs_are_apart(runs: list[Run]) -> None:
    Run.objects.filter(pk=runs[5].pk).update(archived_at=BEGIN)
    assert found("archived=1") == [runs[5].run_id]
    assert len(found("")) == 59


@pytest.mark.parametrize("filters", ["", "&state=Failed&state=Running", "&text=sweep"])
def test_each_sort_shows_every_run_once_there_and_back(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch, filters: str
) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 7)
    for sort in (f"{sign}{name}" for name in SORTS for sign in ("", "-")):
        wanted, _ = parse_filter(QueryDict(f"sort={sort}{filters}"))
        there = [page_of(wanted)]
        while there[-1].next:
            there.append(page_of(wanted, there[-1].next))
        back = [there[-1]]
        while back[-1].previous:
            back.append(page_of(wanted, back[-1].previous))
        shown = [run for page in there for run in page.runs]
        assert sorted(run.pk for run in shown) == sorted(keys(wanted)), sort
        assert [run for page in reversed(back) for run in page.runs] == shown, sort
        values = [value_of(run, sort) for run in shown]
        assert values == sorted(values, reverse=sort.startswith("-")), sort


def keys(wanted: HistoryFilter) -> list[int]:
    return list(wanted.runs().values_list("pk", flat=True))


def value_of(run: Run, sort: str) -> tuple[bool, float, str, int]:
    """What a run is sorted by; one without a duration is last either way."""
    name, descends = sort.removeprefix("-"), sort.startswith("-")
    texts = {
        "name": run.display_name,
        "state": run.status,
        "experiment": run.experiment.name,
        "target": run.target.name,
        "owner": run.owner.username,
    }
    lacks = name == "duration" and run.duration is None
    duration = run.duration or 0.0 if name == "duration" else 0.0
    return (lacks != descends, duration, texts.get(name, ""), run.pk)


@pytest.mark.parametrize("way", ["next", "previous"])
def test_no_run_is_missed_or_shown_twice_while_others_come_and_go(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(history, "PAGE_SIZE", 7)
    for sort in (f"{sign}{name}" for name in SORTS for sign in ("", "-")):
        with transaction.atomic():
            shown: list[int] = []
            to_come = {run.pk for run in runs}
            for page in walk(sort, way):
                shown += [run.pk for run in page]
                to_come -= set(shown)
                # Those at both ends are what the next page is found by.
                gone = {page[0].pk, page[-1].pk, *sorted(to_come)[1:2]}
                Run.objects.filter(pk__in=gone).delete()
                to_come -= gone
                for name, duration in (("baseline", 2.5), ("", None), ("z", 0.0)):
                    ended_run(experiment="z", display_name=name, duration=duration)
            transaction.set_rollback(True)
        assert len(set(shown)) == len(shown), sort
        assert not to_come, sort


def walk(sort: str, way: str) -> Iterator[list[Run]]:
    """The pages from the first to the last, or back from there."""
    wanted, _ = parse_filter(QueryDict(f"sort={sort}"))
    page = page_of(wanted)
    while way == "previous" and page.next:
        page = page_of(wanted, page.next)
    while True:
        yield page.runs
        cursor = getattr(page, way)
        if not cursor:
            return
        page = page_of(wanted, cursor)


@pytest.mark.parametrize("way", ["next", "previous"])
def test_where_all_was_deleted_meanwhile_the_first_page_is_shown(
    runs: list[Run], way: str
) -> None:
    first = page_of(HistoryFilter())
    here = first if way == "next" else page_of(HistoryFilter(), first.next)
    kept = {run.pk for run in here.runs}
    Run.objects.exclude(pk__in=kept).delete()
    shown = page_of(HistoryFilter(), getattr(here, way))
    assert shown.runs == here.runs
    assert not shown.previous
    assert not shown.next


def test_a_page_costs_as_much_whatever_it_shows(runs: list[Run]) -> None:
    for query in ("", "sort=duration", "tag=model&text=sweep&state=active"):
        wanted, _ = parse_filter(QueryDict(query))
        with CaptureQueriesContext(connection) as queries:
            assert page_of(wanted).runs, query
        # The keys, their rows and the tags of these.
        assert len(queries) == 3, query


def test_a_cursor_of_nobody_is_answered(runs: list[Run]) -> None:
    garbage = ["x", "!!!", "\0", "é", "A" * 5000]
    places = ["null", "[]", "[1, 2, 3]", "[1e999, 1, false]", "[1, 1e999, false]"]
    places += ["[[], 1, false]", f"[1, {10**30}, false]", f"[{10**30}, 1, false]"]
    places += [
        "[NaN, 1, false]",
        "[1, NaN, true]",
        "[2.5, 1]",
        f"[1, {2**63}, true]",
        '{"a": 1}',
        "[" * 9999,
    ]
    places += ['["\\u0000", 1, true]', "[true, 1, 2]", '["\\ud800", 1, false]', "7"]
    encoded = [base64.urlsafe_b64encode(place.encode()).decode() for place in places]
    for sort, cursor in itertools.product(SORTS, garbage + encoded):
        wanted, _ = parse_filter(QueryDict(f"sort={sort}"))
        assert page_of(wanted, cursor).runs is not None


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("state=Nonsense", "“Nonsense” is not a state of a run."),
        ("sort=nonsense", "Runs can't be sorted by “nonsense”."),
        ("since=yesterday", "“yesterday” is not a day."),
        ("until=2025-13-45", "“2025-13-45” is not a day."),
    ],
)
def test_what_makes_no_sense_is_said_and_passed_over(
    runs: list[Run], query: str, problem: str
) -> None:
    wanted, problems = parse_filter(QueryDict(query))
    assert problem in problems[0]
    assert wanted.runs().count() == 60


def test_signs_of_a_search_mean_themselves(runs: list[Run]) -> None:
    ended_run(display_name="100%_\\ sure")
    texts = ["%", "_", "\\", "100%_\\", "'", '"', "\0", "x" * 9999]
    for text in texts:
        data = QueryDict(mutable=True)
        data["text"] = text
        wanted, _ = parse_filter(data)
        shown = text.replace("\0", "")
        # Other databases than SQLite take no NUL.
        assert "\0" not in wanted.text
        expected = [run for run in Run.objects.all() if shown in searched(run)]
        assert wanted.runs().count() == len(expected), text


def searched(run: Run) -> str:
    return f"{run.run_id}\n{run.display_name}\n{run.script}"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_days_at_the_ends_of_time_are_answered(
    runs: list[Run], settings: Settings, zone: str
) -> None:
    settings.TIME_ZONE = zone
    for day in ("0001-01-01", "0001-01-02", "9999-12-30", "9999-12-31"):
        for name in ("since", "until"):
            wanted, problems = parse_filter(QueryDict(f"{name}={day}"))
            everything = (name == "since") == day.startswith("0001")
            assert len(page_of(wanted).runs) == (50 if everything else 0)
            assert not problems


def test_a_day_is_that_of_the_portals_time_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    late = ended_run(created_at=datetime(2025, 3, 1, 16, tzinfo=UTC))
    early = ended_run(created_at=datetime(2025, 3, 1, 14, tzinfo=UTC))
    assert found("since=2025-03-02") == [late.run_id]
    assert found("until=2025-03-01") == [early.run_id]
    assert found("since=2025-03-02&until=2025-03-01") == []


def test_a_search_for_very_many_words_is_answered(runs: list[Run]) -> None:
    assert len(found("text=" + "a+" * 250)) == 60
    assert found("text=" + "a+" * 200 + "nowhere") == []


def test_a_filter_is_what_its_address_says() -> None:
    choices = {
        "state": ["", "Failed", "active"],
        "tag": ["", "a=b&c", "ü"],
        "text": ["", "a b"],
        "since": ["", "2025-03-01"],
        "archived": ["", "1"],
        "sort": ["", "-duration", "name"],
    }
    for values in itertools.product(*choices.values()):
        data = QueryDict(mutable=True)
        for name, value in zip(choices, values, strict=True):
            if value:
                data[name] = value
        wanted, problems = parse_filter(data)
        assert not problems
        assert parse_filter(QueryDict(wanted.query()))[0] == wanted


def test_each_condition_can_be_taken_away_alone() -> None:
    query = "state=Failed&state=active&experiment=e&text=x&archived=1&sort=name"
    wanted, _ = parse_filter(QueryDict(query))
    chips = dict(wanted.chips())
    assert set(chips) == {"Failed", "Active", "experiment: e", "text: x", "Archived"}
    without = parse_filter(QueryDict(chips["Active"]))[0]
    assert without.states == (RunStatus.FAILED,)
    assert (without.text, without.sort) == ("x", "name")


def test_a_chip_holds_its_condition_in_words() -> None:
    query = "target=t&user=u&tag=a%3Db&since=2025-03-01&until=2025-03-02&state=active"
    wanted, _ = parse_filter(QueryDict(query))
    for label, without in wanted.chips():
        rest = parse_filter(QueryDict(without))[0].chips()
        assert label not in dict(rest)
        assert len(rest) == len(wanted.chips()) - 1
    assert "since: 2025-03-01" in dict(wanted.chips())
    assert HistoryFilter().chips() == []
