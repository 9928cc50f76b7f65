"""The queue on the pages: who sees what, and what a click or a drop does."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from computes.models import ComputeTarget
from runs.models import Run
from runs.priority import Priority
from tests import factories
from tests.factories import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_HTMX = {"HX-Request": "true"}
_QUEUE, _CHANGE = "/compute/local/queue/", "/compute/local/queue/change/"


@pytest.fixture
def boss() -> Client:
    return signed_in(User.objects.create(username="boss", is_staff=True))


@pytest.fixture
def ada() -> Client:
    """The owner of all runs."""
    return signed_in(factories.person())


@pytest.fixture
def runs(transactional_db: None) -> list[Run]:
    """One at work, and three that wait."""
    target = factories.target(max_runs=1)
    return [
        factories.submit(target=target, display_name=f"run {name}") for name in "abcd"
    ]


def order() -> list[str]:
    return list(Run.objects.queued().values_list("display_name", flat=True))


def text(client: Client, address: str = _QUEUE) -> str:
    answer = client.get(address, headers=_HTMX)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_it_lists_who_is_at_work_and_who_waits(ada: Client, runs: list[Run]) -> None:
    page = text(ada)
    places = [page.index(f">run {name}</a>") for name in "abcd"]
    assert places == sorted(places)
    assert "1 of 1 at work, 3 waiting" in page
    assert "no estimate: too few runs have ended here" in page
    assert 'data-place="3"' in page


def test_an_empty_queue_says_so(ada: Client) -> None:
    assert "Nothing runs here, and nothing waits." in text(ada)


def test_it_has_a_page_without_scripts(ada: Client, runs: list[Run]) -> None:
    page = ada.get(_QUEUE).content.decode()
    assert "Queue of local" in page
    assert 'href="/compute/local/queue/"' in ada.get("/compute/local/").content.decode()
    answer = ada.post(_CHANGE, {"run": runs[1].run_id, "way": "last"})
    assert answer.headers["Location"] == _QUEUE
    assert order() == ["run c", "run d", "run b"]


def test_everybody_is_offered_what_they_may_do(
    boss: Client, ada: Client, runs: list[Run]
) -> None:
    stranger = text(signed_in(factories.person("eve")))
    assert "<form" not in stranger
    assert 'draggable="true"' not in stranger
    owner = text(ada)
    assert "Move run c down" in owner
    assert "Move run c up" not in owner
    assert "Low priority" in owner
    assert "High priority" not in owner
    administrator = text(boss)
    for words in ("Move run c up", "Make it the next", "High priority"):
        assert words in administrator


def test_a_change_answers_with_the_new_queue_and_says_so(
    boss: Client, runs: list[Run]
) -> None:
    answer = boss.post(_CHANGE, {"run": runs[3].run_id, "way": "up"}, headers=_HTMX)
    assert "run d has place 2 in the queue." in answer.content.decode()
    assert order() == ["run b", "run d", "run c"]
    boss.post(_CHANGE, {"run": runs[3].run_id, "before": runs[1].run_id})
    assert order() == ["run d", "run b", "run c"]
    boss.post(_CHANGE, {"run": runs[2].run_id, "priority": "1"})
    assert order() == ["run c", "run d", "run b"]
    assert Run.objects.get(pk=runs[2].pk).priority == Priority.HIGH


@pytest.mark.parametrize(
    "asked", [{"way": "up"}, {"priority": "1"}, {"before": "another"}]
)
def test_who_may_not_bring_a_run_forward_is_refused(
    ada: Client, runs: list[Run], asked: dict[str, str]
) -> None:
    if "before" in asked:
        asked = {"before": runs[1].run_id}
    for client in (ada, signed_in(factories.person("eve"))):
        answer = client.post(_CHANGE, {"run": runs[3].run_id, **asked}, headers=_HTMX)
        assert answer.status_code == 403
    assert order() == ["run b", "run c", "run d"]


@pytest.mark.parametrize(
    "asked",
    [{}, {"way": "out"}, {"priority": "7"}, {"priority": "x"}, {"way": ""}],
    ids=str,
)
def test_what_no_page_asks_for_changes_nothing(
    boss: Client, runs: list[Run], asked: dict[str, str]
) -> None:
    answer = boss.post(_CHANGE, {"run": runs[3].run_id, **asked}, headers=_HTMX)
    assert "This can&#x27;t be done in the queue." in answer.content.decode()
    assert boss.post(_CHANGE, asked).status_code == 404
    assert order() == ["run b", "run c", "run d"]


def test_a_run_that_has_begun_meanwhile_is_told(boss: Client, runs: list[Run]) -> None:
    answer = boss.post(_CHANGE, {"run": runs[0].run_id, "way": "last"}, headers=_HTMX)
    assert "The run does not wait any more." in answer.content.decode()


def test_the_run_page_says_when(ada: Client, runs: list[Run]) -> None:
    for number in range(6):
        factories.ended_run(
            experiment="before",
            target=ComputeTarget.objects.get(),
            ended_at=runs[0].created_at,
            duration=3600.0 + number,
        )
    page = text(ada, f"/runs/{runs[2].run_id}/status/")
    assert "local runs 1 at a time and has 1 now; 1 run is ahead of it." in page
    assert "Going by the last 6 runs here, it probably begins about <time" in page
    submit = text(ada, "/runs/new/")
    assert "full, 3 ahead" in submit
    assert "begins about <time" in submit


def test_who_is_less_in_a_hurry_has_more_ahead(ada: Client, runs: list[Run]) -> None:
    Run.objects.filter(pk=runs[3].pk).update(priority=Priority.LOW)
    for priority, ahead in (("0", 2), ("-1", 3)):
        page = ada.post("/runs/new/preview/", {"priority": priority}).content.decode()
        assert f"full, {ahead} ahead" in page


def with_gpus(**fields: object) -> ComputeTarget:
    """This machine, with two GPUs, of which somebody uses the second."""
    device = {"name": "A100", "util_percent": None, "memory": 40 << 30}
    seen: list[dict[str, object]] = [
        {**device, "index": index, "memory_used": used, "processes": []}
        for index, used in ((0, 0), (1, 12 << 30))
    ]
    factories.target(max_runs=3)
    look = {"devices": seen, "error": "", "has_tool": True, "during": []}
    ComputeTarget.objects.update(gpu_look=look, gpus_seen_at=timezone.now(), **fields)
    return ComputeTarget.objects.get()


def test_gpus_are_shown_with_who_has_what(ada: Client, transactional_db: None) -> None:
    target = with_gpus()
    runs = [
        factories.submit(target=target, display_name=name, gpus=1)
        for name in ("first", "second")
    ]
    page = text(ada)
    gpus = page[: page.index('id="queue-title"')]
    assert ">first</a>" in gpus
    assert "in use by somebody (13 GB)" in gpus
    assert "1 wanted" in page
    overview = text(ada, f"/runs/{runs[0].run_id}/?tab=overview")
    assert "GPU 0 of local" in overview
    status = text(ada, f"/runs/{runs[1].run_id}/status/")
    assert "0 of 2 are free for it; GPU 1 is in use by somebody (13 GB)." in status


def test_gpus_are_asked_for_where_there_are_any(
    ada: Client, transactional_db: None
) -> None:
    assert 'name="gpus"' not in text(ada, "/runs/new/")
    target = with_gpus()
    page = text(ada, "/runs/new/")
    assert 'name="gpus"' in page
    assert "1 of 2 GPUs free" in page
    form = {
        "token": "7d0d7d8e-6d0f-4f0f-8d7e-111111111111",
        "snapshot": factories.snapshot({"train.py": ""}).pk,
        "script": "train.py",
        "experiment": "digits",
        "arguments": "[]",
        "environment": factories.this_python().pk,
        "target": target.pk,
        "max_duration": "1h",
        "grace": "30s",
    }
    for wrong, said in (("3", "has 2 GPUs for runs"), ("x", "is no number")):
        answer = ada.post("/runs/new/", {**form, "gpus": wrong}, headers=_HTMX)
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert ada.post("/runs/new/", {**form, "gpus": "1"}).status_code == 302
    run = Run.objects.get()
    assert (run.gpus, run.gpu_indexes, run.configuration.gpus) == (1, [0], 1)
    again = text(ada, f"/runs/new/?from={run.run_id}")
    assert 'value="1" aria-describedby="gpus-hint"' in again


def test_administrators_say_which_gpus_runs_may_use(boss: Client) -> None:
    address = "/compute/local/edit/"
    answer = boss.post(address, {"max_runs": 2, "gpu_choice": "0-x"})
    assert "is no number of a GPU" in answer.content.decode()
    change = {"max_runs": 2, "gpu_choice": "0-1", "gpu_policy": "share"}
    assert boss.post(address, change).status_code == 302
    target = ComputeTarget.objects.get()
    assert (target.gpu_choice, target.gpu_policy) == ("0-1", "share")
