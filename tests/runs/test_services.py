"""Submitting, canceling and tidying runs, as the database sees it."""

import json
import threading
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from aml_portal.errors import UserError
from runs import services
from runs.execution import submission_lease
from runs.leases import acquire, release
from runs.models import Experiment, Run, RunTag
from runs.notices import LIVE_CHANNEL
from runs.services import Deletion
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.redis import RedisServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]


def states(run: Run) -> list[str]:
    return list(run.events.exclude(status="").values_list("status", flat=True))


def test_a_submission_becomes_a_queued_run() -> None:
    run = factories.submit(
        "print(1)",
        experiment="digits",
        display_name="  first  ",
        tags={"model": "svm"},
        arguments=("--rate", "0.1"),
        environment_variables={"SEED": "7"},
    )
    assert run.status == RunStatus.QUEUED
    assert states(run) == ["Queued"]
    assert (run.experiment.name, run.number, run.display_name) == ("digits", 1, "first")
    assert run.configuration.arguments == ("--rate", "0.1")
    assert run.configuration.environment_variables == {"SEED": "7"}
    assert [str(tag) for tag in run.tags.all()] == ["model=svm"]
    assert run.properties == {"ContentSnapshotId": run.snapshot_id}


def test_runs_are_numbered_within_their_experiment() -> None:
    numbers = [factories.submit(experiment=name).number for name in ("a", "b", "a")]
    assert numbers == [1, 1, 2]


def test_the_same_token_makes_one_run() -> None:
    token = uuid.uuid4()
    assert factories.submit(token=token) == factories.submit(token=token)
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_run() -> None:
    submission, owner = factories.submission(), factories.person()
    together = threading.Barrier(8)
    found: list[int] = []

    def click() -> None:
        together.wait()
        found.append(services.submit_run(owner=owner, submission=submission).pk)
        connection.close()

    _all_at_once(click, 8)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert Run.objects.get().number == 1


@pytest.mark.django_db(transaction=True)
def test_runs_submitted_at_once_make_their_experiment_once() -> None:
    factories.target(), factories.this_python()
    owner, snapshot = factories.person(), factories.snapshot({"train.py": ""})
    together = threading.Barrier(6)

    def click() -> None:
        submission = factories.submission(snapshot=snapshot, experiment="new")
        together.wait()
        services.submit_run(owner=owner, submission=submission)
        connection.close()

    _all_at_once(click, 6)
    assert Experiment.objects.get().last_number == 6
    numbers = Run.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == [1, 2, 3, 4, 5, 6]


def _all_at_once(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_a_script_that_is_not_in_the_snapshot_is_refused() -> None:
    with pytest.raises(UserError, match=r"“other\.py” is not among the files"):
        factories.submit(script="other.py")
    with pytest.raises(UserError, match="is not among the files"):
        factories.submit(script="../train.py")
    assert not Run.objects.exists()


def test_a_folder_is_no_script() -> None:
    snapshot = factories.snapshot({"src/train.py": "", "README": ""})
    with pytest.raises(UserError, match="is not among the files"):
        factories.submit(snapshot=snapshot, script="src")


def test_an_archived_environment_is_refused() -> None:
    environment = factories.this_python()
    environment.archived_at = timezone.now()
    with pytest.raises(UserError, match="this-python:1 is archived"):
        factories.submit(environment=environment)


def test_a_detached_target_is_refused() -> None:
    target = factories.target()
    target.detached_at = timezone.now()
    with pytest.raises(UserError, match="local is detached"):
        factories.submit(target=target)


@pytest.mark.parametrize("name", ["", "with space", "-dash", "a" * 256, "é"])
def test_an_experiment_needs_a_plain_name(name: str) -> None:
    with pytest.raises(UserError):
        factories.submit(experiment=name)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ({" ": "x"}, "A tag needs a name"),
        ({"a" * 256: ""}, "The name of a tag has at most 255 characters"),
        ({"a": "x" * 1001}, "The value of a tag has at most 1,000 characters"),
        ({"a\0b": ""}, "A tag has no null characters"),
        ({"a": "\0"}, "A tag has no null characters"),
    ],
)
def test_a_tag_has_a_name_and_a_limit(tag: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        factories.submit(tags=tag)


def test_a_run_that_waits_is_canceled_at_once() -> None:
    run = factories.submit()
    assert services.cancel_run(run, by="ada")
    assert run.status == RunStatus.CANCELED
    assert run.end_reason == EndReason.CANCELED
    assert run.error == "Canceled by ada before it began."


def test_a_second_cancel_changes_nothing() -> None:
    run = factories.submit()
    run.move(RunStatus.PREPARING)
    assert services.cancel_run(run, by="ada")
    assert not services.cancel_run(run, by="bob")
    assert states(run) == ["Queued", "Preparing", "CancelRequested"]


def test_cancel_of_a_finished_run_changes_nothing() -> None:
    run = factories.submit()
    run.end(EndReason.CANCELED)
    before = Run.objects.values().get()
    assert not services.cancel_run(run, by="ada")
    assert Run.objects.values().get() == before


def test_only_ended_runs_are_deleted() -> None:
    ended, waiting = factories.submit(), factories.submit()
    ended.end(EndReason.CANCELED, cleaned_at=timezone.now())
    assert services.delete_runs(Run.objects.all()) == Deletion(deleted=1, active=1)
    assert list(Run.objects.all()) == [waiting]


def test_a_run_whose_submission_is_still_at_work_is_not_deleted() -> None:
    """It lays out files yet, though the run was canceled meanwhile."""
    run = factories.submit()
    run.end(EndReason.CANCELED, cleaned_at=timezone.now())
    assert acquire(submission_lease(run.pk), "elsewhere/1/1/x", 60)
    with pytest.raises(UserError, match="still being cleared away"):
        services.delete_run(run)
    release(submission_lease(run.pk), "elsewhere/1/1/x")
    assert services.delete_run(run)


@pytest.mark.django_db(transaction=True)
def test_an_experiment_that_is_made_twice_at_once_is_made_once() -> None:
    owner = factories.person()
    together = threading.Barrier(6)
    said: list[str] = []

    def create() -> None:
        together.wait()
        try:
            services.create_experiment(name="new", owner=owner)
        except UserError as error:
            said.append(str(error))
        connection.close()

    _all_at_once(create, 6)
    assert said == ["There is an experiment of this name: open that."] * 5


@pytest.mark.django_db(transaction=True)
def test_runs_are_tagged_while_others_go() -> None:
    runs = [factories.submit() for _ in range(40)]
    for run in runs:
        run.end(EndReason.LOST, cleaned_at=timezone.now())
    together = threading.Barrier(2)

    def delete() -> None:
        together.wait()
        for run in runs[::2]:
            services.delete_run(run)
        connection.close()

    def tag() -> None:
        together.wait()
        for number in range(20):
            services.tag_runs(Run.objects.all(), f"t{number}")
        connection.close()

    threads = [threading.Thread(target=work) for work in (delete, tag)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert RunTag.objects.count() == 20 * 20


def test_pages_hear_of_new_tags(redis_server: RedisServer) -> None:
    run = factories.submit()
    with redis_server.client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(LIVE_CHANNEL)
        heard.get_message(timeout=5)
        services.tag_runs(Run.objects.all(), "a")
        services.untag_runs(Run.objects.all(), "a")
        services.untag_runs(Run.objects.all(), "a")
        notices = []
        while message := heard.get_message(timeout=0.5):
            notices.append(json.loads(message["data"]))
    assert notices == [{"run": run.run_id, "changed": "tags"}] * 2


def test_many_runs_are_tagged_without_a_wait_for_each(
    redis_server: RedisServer,
) -> None:
    runs = [factories.ended_run() for _ in range(300)]
    with redis_server.client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(LIVE_CHANNEL)
        heard.get_message(timeout=5)
        before = redis_server.client.info("stats")["total_reads_processed"]
        services.tag_runs(Run.objects.all(), "a")
        after = redis_server.client.info("stats")["total_reads_processed"]
        notices = []
        while message := heard.get_message(timeout=0.5):
            notices.append(json.loads(message["data"]))
    assert after - before < 30
    assert notices == [{"run": run.run_id, "changed": "tags"} for run in runs]


def test_tags_are_set_and_overwritten_and_taken_away() -> None:
    factories.submit(), factories.submit(tags={"a": "old"})
    services.tag_runs(Run.objects.all(), "a", "new")
    assert list(RunTag.objects.values_list("name", "value")) == [("a", "new")] * 2
    services.untag_runs(Run.objects.all(), "a")
    assert not RunTag.objects.exists()


def test_archiving_is_undone_by_restoring() -> None:
    factories.submit(), factories.submit()
    assert services.archive_runs(Run.objects.all()) == 2
    assert services.archive_runs(Run.objects.all()) == 0
    assert services.restore_runs(Run.objects.all()) == 2
    assert not Run.objects.exclude(archived_at=None).exists()
