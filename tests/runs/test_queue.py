"""The order of the queue, and who may change it."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import close_old_connections, connection
from django.test import Client
from django.utils import timezone

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from runs.dispatch import dispatch
from runs.models import Run
from runs.priority import Priority
from runs.reorder import Way, move_in_queue, put_before, set_priority
from runs.status import EndReason, RunStatus
from runs.waiting import estimate_of, why_waiting
from tests import factories
from tests.services.redis import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)
LOW, NORMAL, HIGH = Priority.LOW, Priority.NORMAL, Priority.HIGH


@pytest.fixture(autouse=True)
def empty_queue(redis_server: RedisServer) -> None:
    redis_server.client.flushall()


@pytest.fixture
def boss() -> User:
    return User.objects.create(username="boss", is_staff=True)


@pytest.fixture
def target() -> ComputeTarget:
    """With its only place taken by run 1."""
    target = factories.target(max_runs=1)
    factories.submit(target=target)
    return target


def waiting(target: ComputeTarget, *priorities: Priority) -> list[Run]:
    """Runs 2, 3, …"""
    runs = []
    for priority in priorities:
        run = factories.submit(target=target)
        Run.objects.filter(pk=run.pk).update(priority=priority)
        run.refresh_from_db()
        runs.append(run)
    return runs


def order(target: ComputeTarget) -> list[int]:
    queue = Run.objects.queued().filter(target=target)
    return list(queue.values_list("number", flat=True))


def test_priority_comes_before_time(target: ComputeTarget) -> None:
    waiting(target, LOW, NORMAL, HIGH, NORMAL, LOW, HIGH)
    assert order(target) == [4, 7, 3, 5, 2, 6]


def test_places_are_given_and_waits_are_told_in_the_same_order(
    target: ComputeTarget,
) -> None:
    runs = waiting(target, LOW, NORMAL, HIGH)
    assert [why_waiting(run).partition("; ")[2] for run in runs] == [
        "2 runs are ahead of it.",
        "1 run is ahead of it.",
        "this run is the next.",
    ]
    for number in (4, 3, 2):
        Run.objects.placed().get().end(EndReason.LOST)
        dispatch(target)
        assert Run.objects.placed().get().number == number


@pytest.mark.parametrize(
    ("run", "way", "expected"),
    [
        (4, Way.UP, [2, 4, 3]),
        (4, Way.FIRST, [4, 2, 3]),
        (2, Way.DOWN, [3, 2, 4]),
        (2, Way.LAST, [3, 4, 2]),
        (2, Way.UP, [2, 3, 4]),
        (2, Way.FIRST, [2, 3, 4]),
        (4, Way.DOWN, [2, 3, 4]),
        (4, Way.LAST, [2, 3, 4]),
    ],
)
def test_an_administrator_moves_a_run_anywhere(
    target: ComputeTarget, boss: User, run: int, way: Way, expected: list[int]
) -> None:
    runs = waiting(target, NORMAL, NORMAL, NORMAL)
    place = move_in_queue(runs[run - 2], way, by=boss)
    assert order(target) == expected
    assert place == expected.index(run) + 1


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("before", [2, 3, 4, 5, 6])
def test_a_run_that_is_dropped_before_another_is_there(
    target: ComputeTarget, boss: User, number: int, before: int
) -> None:
    # In the order in which they wait, whatever their priorities.
    made = waiting(target, HIGH, HIGH, LOW, LOW, LOW)
    runs = {run.number: run for run in made}
    if number == before:
        with pytest.raises(UserError):
            put_before(runs[number], runs[before], by=boss)
        return
    put_before(runs[number], runs[before], by=boss)
    expected = [each for each in (2, 3, 4, 5, 6) if each != number]
    expected.insert(expected.index(before), number)
    assert order(target) == expected
    # Of two neighbours, the first has at least the priority of the second.
    priorities = list(Run.objects.queued().values_list("priority", flat=True))
    assert priorities == sorted(priorities, reverse=True)


def test_who_comes_later_is_behind_those_who_were_moved(
    target: ComputeTarget, boss: User
) -> None:
    runs = waiting(target, NORMAL, NORMAL, HIGH)
    move_in_queue(runs[2], Way.LAST, by=boss)
    move_in_queue(runs[0], Way.LAST, by=boss)
    waiting(target, NORMAL)
    assert order(target) == [3, 4, 2, 5]


def test_an_owner_puts_back_and_never_forward(target: ComputeTarget) -> None:
    ada = factories.person()
    runs = waiting(target, NORMAL, NORMAL, NORMAL)
    for way in (Way.UP, Way.FIRST):
        with pytest.raises(PermissionDenied):
            move_in_queue(runs[2], way, by=ada)
    with pytest.raises(PermissionDenied):
        put_before(runs[2], runs[0], by=ada)
    with pytest.raises(PermissionDenied):
        set_priority(runs[2], HIGH, by=ada)
    assert order(target) == [2, 3, 4]
    move_in_queue(runs[0], Way.DOWN, by=ada)
    assert order(target) == [3, 2, 4]
    set_priority(runs[1], LOW, by=ada)
    assert order(target) == [2, 4, 3]
    with pytest.raises(PermissionDenied):
        set_priority(runs[1], NORMAL, by=ada)


def test_the_timeline_says_who_moved_a_run(target: ComputeTarget, boss: User) -> None:
    run = waiting(target, NORMAL, NORMAL)[1]
    move_in_queue(run, Way.FIRST, by=boss)
    set_priority(run, HIGH, by=boss)
    assert list(run.events.filter(status="").values_list("detail", flat=True)) == [
        "boss moved it in the queue, from place 2 to 1.",
        "boss gave it the priority high.",
    ]


def test_a_run_that_has_begun_can_not_be_moved(
    target: ComputeTarget, boss: User
) -> None:
    begun, run = Run.objects.placed().get(), waiting(target, NORMAL)[0]
    with pytest.raises(UserError, match="does not wait any more"):
        move_in_queue(begun, Way.FIRST, by=boss)
    with pytest.raises(UserError, match="does not wait any more"):
        put_before(run, begun, by=boss)
    with pytest.raises(UserError, match="does not wait any more"):
        set_priority(begun, HIGH, by=boss)


def test_queues_are_apart(target: ComputeTarget, boss: User) -> None:
    other = factories.target(name="other", max_runs=1)
    factories.submit(target=other)
    mine, theirs = waiting(target, NORMAL)[0], waiting(other, NORMAL)[0]
    with pytest.raises(UserError):
        put_before(mine, theirs, by=boss)


def test_many_who_move_and_dispatch_at_once_lose_no_run_and_no_place(
    target: ComputeTarget, boss: User
) -> None:
    runs = waiting(target, *[NORMAL] * 6)
    failures: list[Exception] = []

    def move(run: Run) -> None:
        try:
            move_in_queue(run, Way.FIRST, by=boss)
            dispatch(target)
        except UserError:
            pass
        except Exception as error:
            failures.append(error)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=move, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Run.objects.placed().count() == 1
    assert sorted(order(target)) == [2, 3, 4, 5, 6, 7]


def test_without_enough_history_there_is_no_estimate(target: ComputeTarget) -> None:
    run = waiting(target, NORMAL)[0]
    estimate = estimate_of(run)
    assert estimate
    assert estimate.why_not == "too few runs have ended here"


def test_the_estimate_goes_by_the_last_runs_of_the_target(
    target: ComputeTarget,
) -> None:
    now = timezone.now()
    for number in range(60):
        # Only the last fifty count, and those of this target.
        took = 5000.0 if number < 10 else 600.0
        ended = now - timedelta(hours=60 - number)
        factories.ended_run(
            experiment="before", target=target, ended_at=ended, duration=took
        )
    Run.objects.placed().update(started_at=now - timedelta(seconds=120))
    runs = waiting(target, NORMAL, NORMAL)
    for run, seconds in zip(runs, (480, 1080), strict=True):
        estimate = estimate_of(run)
        assert estimate
        assert estimate.runs == 50
        assert estimate.early and estimate.late
        for time in (estimate.early, estimate.late):
            assert abs((time - now).total_seconds() - seconds) < 10
    assert estimate_of(Run.objects.placed().get()) is None


def test_who_is_far_behind_is_told_so(
    target: ComputeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    for _ in range(5):
        factories.ended_run(
            experiment="before", target=target, ended_at=now, duration=60.0
        )
    Run.objects.placed().update(started_at=now)
    for module in ("estimate", "waiting"):
        monkeypatch.setattr(f"runs.{module}.FARTHEST", 2)
    estimates = [estimate_of(run) for run in waiting(target, *[NORMAL] * 4)]
    assert [each and each.why_not for each in estimates] == [
        *["", ""],
        *["too many runs are ahead of it"] * 2,
    ]


def test_only_administrators_submit_with_a_high_priority(boss: User) -> None:
    with pytest.raises(UserError, match="Only administrators"):
        factories.submit(priority=HIGH)
    assert factories.submit(priority=LOW).priority == LOW
    page = Client()
    page.force_login(boss)
    assert "High</option>" in page.get("/runs/new/").content.decode()
    page.force_login(factories.person())
    assert "High</option>" not in page.get("/runs/new/").content.decode()


def test_the_queue_is_found_in_an_index(target: ComputeTarget) -> None:
    assert "runs_in_queue" in Run.objects.queued().filter(target=target).explain()


def test_a_run_that_was_canceled_leaves_the_queue(target: ComputeTarget) -> None:
    runs = waiting(target, NORMAL, NORMAL)
    runs[0].end(EndReason.CANCELED)
    assert order(target) == [3]
    assert Run.objects.get(pk=runs[0].pk).status == RunStatus.CANCELED
