"""Work that RQ has lost is found in the database and asked for again."""

from typing import Any

import pytest
from django.utils import timezone

from aml_portal.queues import runs_queue
from runs import reconcile
from runs.dispatch import clean_job, start_job
from runs.execution import submission_lease
from runs.leases import acquire, new_owner
from runs.models import Run
from runs.reconcile import Reconciler
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.redis import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_queue(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    redis_server.client.flushall()
    # Time passes at once: what is missed at one look is asked for at the next.
    monkeypatch.setattr(reconcile, "_PATIENCE", 0.0)
    monkeypatch.setattr(reconcile, "_CLEAN_AGAIN", 0.0)


def queue() -> list[str]:
    ids: list[str] = runs_queue().job_ids
    return ids


def test_a_submission_that_redis_lost_is_enqueued_again(
    redis_server: RedisServer,
) -> None:
    run = factories.submit()
    assert queue() == [start_job(run)]
    redis_server.client.flushall()
    Reconciler().reconcile()
    run.refresh_from_db()
    assert run.attempts == 2
    assert queue() == [start_job(run)]


def test_a_submission_that_waits_in_the_queue_is_left_alone() -> None:
    run = factories.submit()
    reconciler = Reconciler()
    for _ in range(3):
        reconciler.reconcile()
    assert queue() == [start_job(run)]


def test_a_submission_that_is_being_carried_out_is_left_alone(
    redis_server: RedisServer,
) -> None:
    run = factories.submit()
    redis_server.client.flushall()
    assert acquire(submission_lease(run.pk), new_owner(), 60)
    Reconciler().reconcile()
    assert queue() == []


def test_what_is_between_two_places_gets_a_moment(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_PATIENCE", 3600.0)
    factories.submit()
    redis_server.client.flushall()
    reconciler = Reconciler()
    for _ in range(3):
        reconciler.reconcile()
    assert queue() == []


def test_a_started_run_is_not_submitted_again(redis_server: RedisServer) -> None:
    run = factories.submit()
    run.move(RunStatus.STARTING, handle={"pid": 1})
    redis_server.client.flushall()
    Reconciler().reconcile()
    assert queue() == []


def test_a_place_that_nobody_gave_away_is_given() -> None:
    """Whoever ended a run was killed before it could dispatch the next one."""
    target = factories.target(max_runs=1)
    runs = [factories.submit(target=target) for _ in range(2)]
    runs[0].end(EndReason.LOST)
    Run.objects.filter(pk=runs[0].pk).update(cleaned_at=timezone.now())
    Reconciler().reconcile()
    runs[1].refresh_from_db()
    assert runs[1].status == RunStatus.PREPARING
    assert start_job(runs[1]) in queue()


def test_what_is_cleaned_in_vain_lets_the_others_through(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_CLEANED_AT_ONCE", 1)
    runs = [factories.submit() for _ in range(3)]
    for run in runs:
        run.end(EndReason.LOST)
    reconciler = Reconciler()
    asked = set()
    for _ in runs:
        redis_server.client.flushall()
        reconciler.reconcile()
        asked.update(queue())
    assert asked == {clean_job(run) for run in runs}


def test_a_look_at_many_runs_costs_no_more_than_at_one(
    django_assert_max_num_queries: Any,
) -> None:
    target = factories.target(max_runs=20)
    for _ in range(20):
        factories.submit(target=target)
    with django_assert_max_num_queries(5):
        Reconciler().reconcile()


def test_a_job_folder_that_was_not_removed_is_asked_for_again(
    redis_server: RedisServer,
) -> None:
    run = factories.submit()
    run.end(EndReason.LOST)
    redis_server.client.flushall()
    Reconciler().reconcile()
    assert queue() == [clean_job(run)]
    Run.objects.update(cleaned_at=timezone.now())
    redis_server.client.flushall()
    Reconciler().reconcile()
    assert queue() == []
