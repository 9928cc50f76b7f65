"""The limits of a target, from the form to the end of a run."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from computes.models import ComputeTarget
from runs.models import Run
from runs.status import EndReason, RunStatus
from tests import factories
from tests.services.monitor import Monitor, placed, spec_of, started

HOUR, DAY = 3600, 86400


@pytest.fixture
def admin() -> Client:
    return factories.signed_in(User.objects.create(username="boss", is_staff=True))


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    monitor = Monitor()
    monitor.begin()
    yield monitor
    monitor.stop()


def limit(**limits: int | None) -> ComputeTarget:
    target = factories.target(max_runs=50)
    ComputeTarget.objects.filter(pk=target.pk).update(**limits)
    target.refresh_from_db()
    return target


@pytest.mark.django_db
def test_limits_are_typed_as_durations_and_shown(admin: Client) -> None:
    factories.target()
    typed = {"longest_run": "2d", "idle_limit": "30 min", "give_up_after": "1h"}
    admin.post("/compute/local/edit/", {"max_runs": 3, **typed})
    target = ComputeTarget.objects.get()
    limits = (target.longest_run, target.idle_limit, target.give_up_after)
    assert limits == (2 * DAY, 1800, HOUR)
    page = admin.get("/compute/local/").content.decode()
    assert all(words in page for words in ("2 days", "30 minutes", "1 hour"))
    form = admin.get("/compute/local/edit/").content.decode()
    assert 'value="2d"' in form
    admin.post("/compute/local/edit/", {"max_runs": 3})
    target.refresh_from_db()
    assert target.longest_run is target.idle_limit is target.give_up_after is None


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["30", "soon", "-1h"])
def test_limits_that_can_not_be_are_refused(admin: Client, wrong: str) -> None:
    factories.target()
    form = {"max_runs": 3, "idle_limit": wrong}
    answer = admin.post("/compute/local/edit/", form)
    assert answer.status_code == 200
    assert ComputeTarget.objects.get().idle_limit is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis_server")
@pytest.mark.parametrize(
    ("own", "of_target", "effective"),
    [(HOUR, None, HOUR), (HOUR, DAY, HOUR), (DAY, HOUR, HOUR), (None, DAY, DAY)],
)
def test_the_shorter_limit_counts(
    own: int | None, of_target: int | None, effective: int
) -> None:
    target = limit(longest_run=of_target, idle_limit=600)
    run = placed("print(1)", target=target, max_run_duration_seconds=own)
    assert spec_of(run)["max_duration_seconds"] == effective
    assert spec_of(run)["idle_limit_seconds"] == 600
    page = factories.signed_in(factories.person()).get(
        f"/runs/{run.run_id}/?tab=overview"
    )
    words = "local ends it after"
    assert (words in page.content.decode()) == (effective != own)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis_server")
@pytest.mark.parametrize(
    ("limits", "why", "words"),
    [
        (
            {"longest_run": 1},
            EndReason.MAX_DURATION,
            "The run took longer than runs on local may take. 1 process was ended",
        ),
        (
            {"idle_limit": 2},
            EndReason.IDLE,
            "The run was idle: for 2 seconds it printed nothing, and used less than",
        ),
    ],
)
def test_a_run_is_ended_and_told_why(
    monitor: Monitor, limits: dict[str, int], why: EndReason, words: str
) -> None:
    run = started("import time; time.sleep(600)", target=limit(**limits))
    monitor.wait_for_end(run)
    run = Run.objects.get(pk=run.pk)
    assert (run.status, run.end_reason) == (RunStatus.CANCELED, why)
    assert words in run.error
