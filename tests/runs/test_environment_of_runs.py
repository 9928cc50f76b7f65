"""What the pages tell of the environment of a run: before it, and afterwards."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from environments import builds
from environments.definition import Definition
from environments.models import Environment, Lock
from environments.services import save_environment
from runs.mirror import EVENTS, LOG, mirror_folder
from runs.models import Run
from runs.reports import Event
from runs.status import EndReason
from tests import factories
from tests.runs.answers import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


def locked(name: str, text: str, **fields: Any) -> Lock:
    environment = save_environment(
        name=name, definition=Definition.of_packages(text.split()[0])
    )
    facts = {"platform": "x86_64-manylinux_2_28", "python": "3.11", "text": text}
    return Lock.objects.create(environment=environment, **facts, **fields)


def run_with(lock: Lock) -> Run:
    run = factories.submit("", environment=lock.environment)
    Run.objects.filter(pk=run.pk).update(lock=lock)
    run.refresh_from_db()
    return run


def tell(run: Run, state: str, **facts: Any) -> None:
    """As the follower would: into the mirror, and to what is known of builds."""
    assert run.lock
    time = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
    event = Event(
        event="environment", time=time, state=state, key=run.lock.key, **facts
    )
    file = mirror_folder(run.run_id) / EVENTS
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write(msgspec.json.encode(event) + b"\n")
    builds.note(
        run.target,
        key=run.lock.key,
        state=state,
        time=timezone.now(),
        seconds=event.seconds,
        size=event.bytes,
    )


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def panel(client: Client, run: Run, name: str) -> str:
    return text_of(client.get(f"/runs/{run.run_id}/panels/{name}/"))


def test_the_page_tells_what_the_run_found_and_what_is_there_now(
    client: Client,
) -> None:
    lock = locked("tiny", "tiny==1.5 \\\n    --hash=sha256:00\n")
    run = run_with(lock)
    assert "not known yet whether it has to be built" in panel(client, run, "overview")
    tell(run, "building")
    assert "It is being built." in panel(client, run, "overview")
    tell(run, "built", seconds=12.2, bytes=5_000_000)
    shown = plain(panel(client, run, "overview"))
    assert "It was built for this run, in 12 s." in shown
    assert "5.0 MB" in shown
    assert lock.key[:12] in shown
    assert "1, on Python 3.11" in shown
    again = run_with(lock)
    tell(again, "hit", bytes=5_000_000)
    assert "It was there already: nothing" in panel(client, again, "overview")


def test_a_run_that_is_canceled_builds_nothing_any_more(client: Client) -> None:
    run = run_with(locked("tiny", "tiny==1.5\n"))
    tell(run, "building")
    run.end(EndReason.CANCELED)
    shown = panel(client, run, "overview")
    assert "The run ended before it was built." in shown
    assert "It is being built." not in shown


def test_a_run_on_an_interpreter_as_it_is_has_no_such_part(client: Client) -> None:
    run = factories.submit("")
    assert "environment-title" not in panel(client, run, "overview")
    assert client.get(f"/runs/{run.run_id}/lock/requirements.txt").status_code == 404


def test_the_lock_can_be_taken_away(client: Client) -> None:
    record = (
        '[{"name": "core", "version": "2", "url": "https://x.test/c", "sha256": "0"}]'
    )
    run = run_with(locked("tiny", "tiny==1.5 \\\n", conda=record))
    page = panel(client, run, "overview")
    for name, words in {
        "requirements.txt": "manylinux_2_28, for Python 3.11\ntiny==1.5",
        "conda-explicit.txt": "@EXPLICIT\nhttps://x.test/c#sha256:0\n",
    }.items():
        address = f"/runs/{run.run_id}/lock/{name}"
        assert address in page
        answer = client.get(address)
        assert words in text_of(answer)
        assert answer["Content-Type"].startswith("text/plain")
        assert "attachment" in answer["Content-Disposition"]
    assert client.get(f"/runs/{run.run_id}/lock/others.txt").status_code == 404


def test_what_differs_from_the_environment_of_the_run_before_is_told(
    client: Client,
) -> None:
    run_with(locked("tiny", "tiny==1.0\nwent==1\n"))
    run = run_with(locked("larger", "tiny==1.5\ncame==3\n"))
    shown = plain(panel(client, run, "snapshot"))
    assert "The environment is larger:1 , and was tiny:1. 3 packages differ." in shown
    assert "tiny 1.0 1.5" in shown
    assert "came not there 3" in shown
    assert "went 1 gone" in shown
    assert "has the same snapshot: no file changed." in shown
    assert run.lock
    same = run_with(run.lock)
    assert "environment is" not in plain(panel(client, same, "snapshot"))


def test_the_submit_page_tells_whether_a_build_is_ahead(client: Client) -> None:
    target = factories.target()
    target.facts = {"machine": "x86_64", "glibc": "2.36"}
    target.save()
    lock = locked("tiny", "tiny==1.5\n")

    def outlook(environment: Environment) -> str:
        typed = {"environment": environment.pk, "target": target.pk}
        page = text_of(client.post("/runs/new/preview/", typed))
        found = re.search(r'id="environment-outlook"[^>]*>(.*?)</p>', page, re.DOTALL)
        assert found
        return plain(found[1]).strip()

    key = f"· key {lock.key[:12]}"
    assert outlook(lock.environment) == f"Will be built on local {key}"
    run = run_with(lock)
    tell(run, "built", seconds=40, bytes=5_000_000)
    ready = rf"Ready on local · 5\.0 MB · built [-\d]+ [\d:]+ {key}"
    assert re.fullmatch(ready, outlook(lock.environment))
    assert outlook(factories.this_python()) == ""


def test_the_page_of_an_environment_tells_where_it_is_built(client: Client) -> None:
    lock = locked("tiny", "tiny==1.5\n")
    page = plain(text_of(client.get(lock.environment.get_absolute_url())))
    assert "It is on no machine yet." in page
    tell(run_with(lock), "built", seconds=40, bytes=5_000_000)
    page = plain(text_of(client.get(lock.environment.get_absolute_url())))
    assert re.search(rf"local ready 5\.0 MB .* {lock.key[:12]}", page)
    own = plain(text_of(client.get(factories.this_python().get_absolute_url())))
    assert "Where it is built" not in own


def head(client: Client, run: Run) -> Any:
    return client.get(f"/runs/{run.run_id}/log/lines?start=-1&count=1").json()["head"]


def prepared(run: Run, lines: str, *, log_bytes: int) -> None:
    """As the runner tells that all is there, of which the log has that many bytes."""
    folder = mirror_folder(run.run_id)
    (folder / "logs").mkdir(exist_ok=True)
    (folder / LOG).write_text(lines)
    event = Event(event="prepared", time=1e9, log_bytes=log_bytes)
    with (folder / EVENTS).open("ab") as out:
        out.write(msgspec.json.encode(event) + b"\n")


def test_the_log_tells_which_lines_are_of_the_environment(client: Client) -> None:
    run = run_with(locked("tiny", "tiny==1.5\n"))
    assert head(client, run) is None
    tell(run, "building")
    tell(run, "built", seconds=41.2)
    prepared(run, "one\ntwo\nof the script\n", log_bytes=8)
    assert head(client, run) == {"lines": 2, "title": "Environment built in 41 s"}
    # What the script writes there later is not believed.
    prepared(run, "one\ntwo\nof the script\n", log_bytes=22)
    tell(run, "built", seconds=99)
    assert head(client, run) == {"lines": 2, "title": "Environment built in 41 s"}


def test_lines_that_are_still_on_their_way_are_not_counted(client: Client) -> None:
    run = run_with(locked("tiny", "tiny==1.5\n"))
    tell(run, "built", seconds=41)
    prepared(run, "one\n", log_bytes=8)
    assert head(client, run) is None


def test_a_run_that_found_its_environment_has_nothing_to_fold(client: Client) -> None:
    run = run_with(locked("tiny", "tiny==1.5\n"))
    tell(run, "hit")
    prepared(run, "of the script\n", log_bytes=0)
    assert head(client, run) is None


def test_an_environment_that_failed_is_told_above_the_log(client: Client) -> None:
    run = run_with(locked("tiny", "tiny==1.5\n"))
    why = "The environment could not be made. There is no version tiny==1.5."
    ended = {"status": "Failed", "end_reason": EndReason.PREPARE_FAILED, "error": why}
    Run.objects.filter(pk=run.pk).update(**ended)
    assert head(client, run) == {"lines": 0, "title": why}
    page = text_of(client.get(f"/runs/{run.run_id}/"))
    assert f'href="/environments/new/?from={run.environment_id}"' in page
    assert f'href="/runs/new/?from={run.run_id}"' in page
    Environment.objects.filter(pk=run.environment_id).update(is_curated=True)
    page = text_of(client.get(f"/runs/{run.run_id}/"))
    assert f'href="/environments/new/?clone={run.environment_id}"' in page


def test_a_run_whose_environment_is_built_is_preparing(client: Client) -> None:
    run = run_with(locked("tiny", "tiny==1.5\n"))
    tell(run, "built", seconds=41)
    run = run_with(run.lock) if run.lock else run
    Run.objects.filter(pk=run.pk).update(status="Starting")

    def status() -> str:
        return plain(text_of(client.get(f"/runs/{run.run_id}/status/")))

    assert "Starting" in status()
    tell(run, "building")
    assert "Preparing" in status()
    assert "being built on local. The last time, that took about 41 s." in status()
    tell(run, "waiting")
    assert "Another run builds the same environment on local." in status()
    tell(run, "hit")
    assert "Starting" in status()


def test_the_overview_tells_which_packages_are_others_than_before(
    client: Client,
) -> None:
    run_with(locked("tiny", "tiny==1.0\n"))
    run = run_with(locked("larger", "tiny==1.5\n"))
    shown = plain(panel(client, run, "overview"))
    assert "Since #1" in shown
    assert "tiny 1.0 1.5" in shown
    assert run.lock
    same = run_with(run.lock)
    assert "Since #2 The packages are the same." in plain(
        panel(client, same, "overview")
    )


def test_an_environment_is_built_ahead_by_a_run(client: Client) -> None:
    target = factories.target()
    environment = locked("tiny", "tiny==1.5\n").environment
    page = text_of(client.get(environment.get_absolute_url()))
    address = f"{environment.get_absolute_url()}build/"
    assert f'action="{address}"' in page
    assert "will be built on local</option>" in page
    answer = client.post(address, {"target": target.pk})
    run = Run.objects.get()
    assert answer["Location"] == run.get_absolute_url()
    assert (run.experiment.name, str(run)) == ("prepare_image", "tiny:1 on local")
    assert run.environment == environment
    assert client.post(address, {"target": "99"}).status_code == 404
    assert client.post(address, {"target": "x"}).status_code == 404
    Environment.objects.filter(pk=environment.pk).update(archived_at=timezone.now())
    told = client.post(address, {"target": target.pk}, follow=True)
    assert "is archived" in text_of(told)
