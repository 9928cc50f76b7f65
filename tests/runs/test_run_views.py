"""The run page over HTTP: who sees and changes what, and what the page says."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django.fixtures import Settings

from runs.execution import submission_lease
from runs.leases import acquire, new_owner
from runs.models import Run
from runs.run_views import PANELS
from runs.status import EndReason, RunStatus
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]

_HTMX = {"HX-Request": "true"}
_OPEN = {"sign-in", "sign-out", "first-sign-in"}
_CAPTURED = {
    "run_id": "digits_1_ab",
    "panel": "log",
    "kind": "ssh",
    "name": "digits",
    "uidb64": "MQ",
    "token": "t",
    "object_id": "1",
    "app_label": "auth",
    "content_type_id": "1",
    "extra_context": "",
    "url": "x/",
    "key": "json",
    **dict.fromkeys(("pk", "version"), 1),
    **dict.fromkeys(("sha256", "before", "after"), "0" * 64),
}
_CHANGES = {
    "cancel": {},
    "rename": {"name": "mine"},
    "tags": {"name": "a", "value": "b"},
    "archive": {},
    "delete": {},
}


@pytest.fixture(autouse=True)
def mirror(settings: Settings, tmp_path: Path) -> Path:
    settings.RUNS_FOLDER = tmp_path
    return tmp_path


@pytest.fixture
def client() -> Client:
    return signed_in("ada")


@pytest.fixture
def run() -> Run:
    return factories.submit("print(1)", experiment="digits")


def signed_in(name: str) -> Client:
    return factories.signed_in(factories.person(name))


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode())


def end(run: Run, reason: EndReason, detail: str = "", **facts: Any) -> None:
    Run.objects.filter(pk=run.pk).update(
        status=RunStatus.RUNNING, started_at=timezone.now() - timedelta(minutes=2)
    )
    run.refresh_from_db()
    assert run.end(reason, detail=detail, **facts)


def addresses(
    patterns: list[URLPattern | URLResolver], prefix: str = "/"
) -> Iterator[tuple[str, str]]:
    """All addresses of the portal, with the names of their views."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield pattern.name or "", route


def filled_in(route: str) -> str:
    for name, value in _CAPTURED.items():
        for kind in ("str:", "int:", "path:", "slug:", "sha256:", ""):
            route = route.replace(f"<{kind}{name}>", str(value))
    return route


def test_a_stranger_is_asked_to_sign_in_everywhere() -> None:
    found = list(addresses(get_resolver().url_patterns))
    assert len(found) > 40
    for name, route in found:
        if name in _OPEN or "(?P" in route or route.startswith("/admin/"):
            continue
        address = filled_in(route)
        assert "<" not in address, route
        for answer in (Client().get(address), Client().post(address)):
            assert answer.status_code == 302, address
            assert answer.headers["Location"].startswith("/sign-in/"), address


def test_everybody_sees_a_run_and_its_owner_alone_changes_it(run: Run) -> None:
    bob = signed_in("bob")
    page = text_of(bob.get(run.get_absolute_url()))
    assert "digits #1" in page
    for action, form in _CHANGES.items():
        address = f"{run.get_absolute_url()}{action}/"
        assert address not in page
        for headers in ({}, _HTMX):
            assert bob.post(address, form, headers=headers).status_code == 403
    run.refresh_from_db()
    assert run.is_active
    assert not run.archived_at
    assert not run.tags.exists()


def test_an_administrator_changes_every_run(run: Run) -> None:
    boss = factories.person("boss")
    boss.is_staff = True
    boss.save()
    assert signed_in("boss").post(f"{run.get_absolute_url()}cancel/").status_code == 302
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELED


@pytest.mark.parametrize("action", _CHANGES)
def test_nothing_is_changed_by_looking(client: Client, run: Run, action: str) -> None:
    assert client.get(f"{run.get_absolute_url()}{action}/").status_code == 405


@pytest.mark.parametrize(
    "path", ["", "status/", "panels/log/", "resources/", "outputs/", "snapshot/zip/"]
)
def test_a_run_that_is_not_there_is_told(client: Client, path: str) -> None:
    assert client.get(f"/runs/none_1_2/{path}").status_code == 404


def test_a_part_that_is_not_there_is_told(client: Client, run: Run) -> None:
    assert client.get(f"{run.get_absolute_url()}panels/none/").status_code == 404
    assert client.get(f"{run.get_absolute_url()}?tab=none").status_code == 200


@pytest.mark.parametrize("status", RunStatus)
def test_every_part_can_be_shown_in_every_state(
    client: Client, run: Run, status: RunStatus
) -> None:
    Run.objects.filter(pk=run.pk).update(status=status, started_at=timezone.now())
    for panel in PANELS:
        page = text_of(client.get(f"{run.get_absolute_url()}?tab={panel}"))
        assert f'data-status="{status}"' in page
        assert status.label in page
        part = text_of(client.get(f"{run.get_absolute_url()}panels/{panel}/"))
        assert "<html" not in part


@pytest.mark.parametrize("reason", EndReason)
def test_how_a_run_ended_is_told(client: Client, run: Run, reason: EndReason) -> None:
    end(run, reason, "Something particular.")
    page = text_of(client.get(f"{run.get_absolute_url()}status/"))
    run.refresh_from_db()
    assert run.get_status_display() in page
    if run.status != RunStatus.COMPLETED:
        assert "Something particular." in page


def test_a_run_that_waits_says_why_and_how_many_are_ahead(client: Client) -> None:
    target = factories.target(max_runs=1)
    runs = [factories.submit(target=target) for _ in range(3)]
    Run.objects.filter(pk=runs[0].pk).update(status=RunStatus.RUNNING)
    assert "this run is the next" in text_of(client.get(runs[1].get_absolute_url()))
    assert "1 run is ahead" in text_of(client.get(runs[2].get_absolute_url()))


def test_a_run_that_waits_is_canceled_at_once(client: Client, run: Run) -> None:
    page = text_of(client.post(f"{run.get_absolute_url()}cancel/", headers=_HTMX))
    assert 'data-status="Canceled"' in page
    assert "Canceled by ada before it began." in page


def test_a_second_cancel_is_told(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    address = f"{run.get_absolute_url()}cancel/"
    assert 'data-status="CancelRequested"' in text_of(
        client.post(address, headers=_HTMX)
    )
    again = text_of(client.post(address, headers=_HTMX))
    assert "The run is being canceled already; nothing was changed." in again
    assert run.events.filter(status=RunStatus.CANCEL_REQUESTED).count() == 1


def test_a_cancel_after_the_end_is_told(client: Client, run: Run) -> None:
    end(run, EndReason.SUCCEEDED)
    address = f"{run.get_absolute_url()}cancel/"
    sentence = "The run has ended already; nothing was changed."
    assert sentence in text_of(client.post(address, headers=_HTMX))
    assert sentence in text_of(client.post(address, follow=True))
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_run_is_renamed(client: Client, run: Run) -> None:
    address = f"{run.get_absolute_url()}rename/"
    part = client.post(address, {"name": "<b>mine</b>"}, headers=_HTMX)
    assert b"&lt;b&gt;mine&lt;/b&gt;" in part.content
    assert b"<b>mine" not in part.content
    client.post(address, {"name": "n" * 256})
    assert text_of(client.get(run.get_absolute_url())).count("at most 255") == 1
    client.post(address, {"name": ""})
    assert "digits #1" in text_of(client.get(run.get_absolute_url()))


def test_tags_are_set_changed_and_removed(client: Client, run: Run) -> None:
    address = f"{run.get_absolute_url()}tags/"
    client.post(address, {"name": "team", "value": "blue"})
    part = text_of(
        client.post(address, {"name": "team", "value": "red"}, headers=_HTMX)
    )
    assert "red" in part
    assert "blue" not in part
    assert "A tag needs a name." in text_of(
        client.post(address, {"name": " "}, headers=_HTMX)
    )
    client.post(address, {"name": "team", "remove": "1"})
    assert not run.tags.exists()


def test_a_tag_with_a_null_character_is_refused(client: Client, run: Run) -> None:
    for tag in ({"name": "a\0b"}, {"name": "a", "value": "\0"}):
        page = client.post(f"{run.get_absolute_url()}tags/", tag, headers=_HTMX)
        assert "A tag has no null characters. Leave them out." in text_of(page)
    assert not run.tags.exists()


def test_a_run_is_archived_and_brought_back(client: Client, run: Run) -> None:
    address = f"{run.get_absolute_url()}archive/"
    assert "The run is archived" in text_of(client.post(address, follow=True))
    page = text_of(client.post(address, {"restore": ""}, follow=True))
    assert "The run is in the lists again." in page


def test_only_a_run_that_has_ended_is_deleted(client: Client, run: Run) -> None:
    address = f"{run.get_absolute_url()}delete/"
    assert "has not ended yet" in text_of(client.post(address, follow=True))
    run.end(EndReason.CANCELED)
    Run.objects.filter(pk=run.pk).update(cleaned_at=timezone.now())
    assert "was deleted" in text_of(client.post(address, follow=True))
    assert not Run.objects.exists()


def test_a_run_that_is_being_cleared_away_says_so(client: Client, run: Run) -> None:
    run.end(EndReason.CANCELED)
    assert acquire(submission_lease(run.pk), new_owner(), 60)
    answer = client.post(f"{run.get_absolute_url()}delete/")
    assert answer.status_code == 400
    assert b"The run is still being cleared away." in answer.content
    assert Run.objects.exists()


def test_secrets_are_covered_and_kept_from_others(client: Client) -> None:
    run = factories.submit(
        environment_variables={"API_TOKEN": "hidden!", "LR": "0.5"}, tags={"a": "b"}
    )
    address = run.get_absolute_url()
    own = text_of(client.get(f"{address}?tab=overview"))
    assert "covered" in own.partition("hidden!")[0]
    for panel in PANELS:
        other = text_of(signed_in("bob").get(f"{address}?tab={panel}"))
        assert "hidden!" not in other
    for who in (client, signed_in("bob")):
        code = text_of(who.get(f"{address}?tab=configuration"))
        assert "hidden!" not in code
        assert "API_TOKEN'] = '********'" in code
        assert "API_TOKEN: '********'" in code
        assert "LR: '0.5'" in code


def test_the_timeline_has_states_times_and_reasons(client: Client, run: Run) -> None:
    client.post(f"{run.get_absolute_url()}cancel/")
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=overview"))
    events = list(run.events.order_by("time"))
    assert [event.status for event in events] == ["Queued", "Canceled"]
    for event in events:
        assert f"{event.time:%H:%M:%S}." in page
    assert events[-1].detail in page


def test_a_receipt_says_what_was_ended(client: Client, run: Run, mirror: Path) -> None:
    end(run, EndReason.CANCELED)
    signals = [
        {"signal": "SIGTERM", "time": 1795464206.25},
        {"signal": "SIGKILL", "time": 1795464209.5},
    ]
    process = {
        "pid": 4711,
        "name": "python <x>",
        "signals": signals,
        "ended": 1795464210,
    }
    write_record(
        mirror,
        run,
        b"",
        receipt={
            "asked": 1795464206.0,
            "grace_seconds": 3.0,
            "processes": [process],
            "left": 0,
        },
    )
    page = text_of(client.get(f"{run.get_absolute_url()}?tab=overview"))
    for said in ("4711", "python <x>", "SIGTERM", "SIGKILL", "none is left"):
        assert said in page


def write_record(mirror: Path, run: Run, log: bytes, **more: Any) -> None:
    folder = mirror / run.run_id
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "std_log.txt").write_bytes(log)
    facts = {"bytes": 4, "sha256": hashlib.sha256(b"log\n").hexdigest()}
    record = {"reason": "exited", "ended": 1795464210, "log": facts, **more}
    (folder / "exit.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (b"log\n", "log complete: 4 bytes, checksum matches"),
        (b"lo", "The portal has 2 of 4 bytes"),
        (b"xyz\n", "or other ones than the script wrote"),
    ],
)
def test_the_log_is_compared_with_what_the_runner_saw(
    client: Client, run: Run, mirror: Path, log: bytes, said: str
) -> None:
    write_record(mirror, run, log)
    assert said in text_of(client.get(f"{run.get_absolute_url()}log-check/"))


def test_a_log_without_an_end_is_not_compared(client: Client, run: Run) -> None:
    page = text_of(client.get(f"{run.get_absolute_url()}log-check/"))
    assert "has not said its last word" in page


def sample(time: float, **facts: Any) -> str:
    gpu = {"index": 0, "name": "A", "util_percent": 5, "memory_used_bytes": 7}
    return json.dumps({"time": time, "cpu_percent": 50.0, **facts, "gpus": [gpu]})


def test_resources_go_on_where_the_last_answer_ended(
    client: Client, run: Run, mirror: Path
) -> None:
    (mirror / run.run_id).mkdir()
    file = mirror / run.run_id / "resources.jsonl"
    file.write_text(f"{sample(1)}\nno json\n[]\n{sample(2)}\n{sample(3)[:20]}")
    address = f"{run.get_absolute_url()}resources/"
    first = client.get(address).json()
    assert first["time"] == [1, 2]
    assert first["gpus"][0]["util"] == [5, 5]
    file.write_text(f"{sample(1)}\nno json\n[]\n{sample(2)}\n{sample(3)}\n")
    assert client.get(f"{address}?from={first['next']}").json()["time"] == [3]


@pytest.mark.parametrize("start", ["x", "-1", "²", "9" * 5000, ""])
def test_an_odd_place_to_go_on_from_is_the_beginning(
    client: Client, run: Run, mirror: Path, start: str
) -> None:
    (mirror / run.run_id).mkdir()
    (mirror / run.run_id / "resources.jsonl").write_text(sample(1) + "\n")
    answer = client.get(f"{run.get_absolute_url()}resources/?from={start}")
    assert answer.json()["time"] == [1]


def test_many_samples_are_thinned_and_keep_their_peaks(
    client: Client, run: Run, mirror: Path
) -> None:
    (mirror / run.run_id).mkdir()
    lines = [sample(time, memory_bytes=1) for time in range(5000)]
    lines[2500] = sample(2500, memory_bytes=999)
    file = mirror / run.run_id / "resources.jsonl"
    file.write_text("\n".join(lines) + "\n")
    read = client.get(f"{run.get_absolute_url()}resources/").json()
    assert len(read["time"]) <= 1200
    assert max(read["memory"]) == 999
    assert read["next"] == file.stat().st_size
