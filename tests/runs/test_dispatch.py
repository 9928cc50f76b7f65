"""Who gets a place on a target, and what is said to those who wait."""

import pytest
from pytest_django.fixtures import Settings
from rq import Queue

from aml_portal.queues import runs_queue
from runs.dispatch import dispatch, start_job
from runs.models import Run
from runs.status import EndReason, RunStatus
from runs.waiting import why_waiting
from tests import factories
from tests.services.redis import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_queue(redis_server: RedisServer) -> None:
    redis_server.client.flushall()


def having(status: RunStatus) -> list[int]:
    runs = Run.objects.filter(status=status).order_by("number")
    return list(runs.values_list("number", flat=True))


def test_a_target_takes_as_many_runs_as_it_has_places() -> None:
    target = factories.target(max_runs=2)
    runs = [factories.submit(target=target) for _ in range(4)]
    assert having(RunStatus.PREPARING) == [1, 2]
    assert having(RunStatus.QUEUED) == [3, 4]
    assert runs_queue().job_ids == [start_job(run) for run in runs[:2]]


def test_places_are_given_in_the_order_of_submission() -> None:
    target = factories.target(max_runs=1)
    runs = [factories.submit(target=target) for _ in range(3)]
    runs[0].end(EndReason.LOST, only_from=(RunStatus.PREPARING,))
    assert dispatch(target) == 1
    assert having(RunStatus.PREPARING) == [2]
    assert dispatch(target) == 0


def test_a_canceled_run_is_passed_over() -> None:
    target = factories.target(max_runs=1)
    runs = [factories.submit(target=target) for _ in range(3)]
    runs[1].end(EndReason.CANCELED)
    runs[0].end(EndReason.LOST)
    dispatch(target)
    assert having(RunStatus.PREPARING) == [3]


def test_targets_do_not_share_places() -> None:
    one, other = factories.target(max_runs=1), factories.target(name="b", max_runs=1)
    factories.submit(target=one), factories.submit(target=other)
    assert having(RunStatus.PREPARING) == [1, 2]


def test_a_smaller_number_of_places_ends_no_run() -> None:
    target = factories.target(max_runs=2)
    for _ in range(3):
        factories.submit(target=target)
    factories.target(max_runs=1)
    assert dispatch(target) == 0
    assert having(RunStatus.PREPARING) == [1, 2]


def test_a_broker_that_is_away_refuses_no_submission(redis_server: RedisServer) -> None:
    redis_server.kill()
    try:
        run = factories.submit()
    finally:
        redis_server.start()
    assert run.status == RunStatus.PREPARING
    assert runs_queue().job_ids == []


def test_portals_that_share_a_broker_have_their_own_jobs(
    redis_server: RedisServer, settings: Settings
) -> None:
    run = factories.submit()
    mine = start_job(run)
    settings.PORTAL_ID = "another"
    theirs = Queue("another", connection=redis_server.client)
    theirs.enqueue_call("runs.tasks.start_run", job_id=start_job(run)).delete()
    assert runs_queue().fetch_job(mine)


def test_who_waits_is_told_why_and_how_many_are_ahead() -> None:
    target = factories.target(max_runs=1)
    runs = [factories.submit(target=target) for _ in range(4)]
    assert [why_waiting(run) for run in runs] == [
        "",
        "local runs 1 at a time and has 1 now; this run is the next.",
        "local runs 1 at a time and has 1 now; 1 run is ahead of it.",
        "local runs 1 at a time and has 1 now; 2 runs are ahead of it.",
    ]
