"""A kind of target is added by a module of its own; nothing else has to know it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client, override_settings
from django.utils import timezone

from computes.checks import Checks
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs import execution, sights
from runs.configuration import ScriptRunConfiguration
from runs.forms import SubmitForm
from runs.mirror import log_path
from runs.models import Run
from runs.status import EndReason, RunStatus
from tests import factories
from tests.computes.another_kind import GateForm
from tests.services.monitor import Monitor, placed, started

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
_KIND = "tests.computes.another_kind.KIND"
SHOW = "import os; print(os.environ['GATE_COLOUR'])"


@pytest.fixture(autouse=True)
def with_the_kind() -> Iterator[None]:
    with override_settings(COMPUTE_KINDS=[*settings.COMPUTE_KINDS, _KIND]):
        yield


@pytest.fixture
def admin() -> Client:
    return factories.signed_in(User.objects.create(username="boss", is_staff=True))


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    (tmp_path / "wall").mkdir()
    gate = tmp_path / "wall/gate"
    gate.touch()
    return gate


@pytest.fixture
def target(admin: Client, gate: Path) -> ComputeTarget:
    """Attached through the form, as a person would."""
    assert b"A machine with a gate before it." in admin.get("/compute/new/").content
    fields = {
        "name": "far",
        "machine": factories.target().pk,
        "gate": str(gate),
        "word": "sesame",
        "max_runs": 9,
    }
    answer = admin.post("/compute/new/gate/", fields)
    assert answer.headers["Location"] == "/compute/far/", answer.content.decode()
    return ComputeTarget.objects.get(name="far")


def test_it_is_attached_and_its_secrets_are_kept(
    admin: Client, target: ComputeTarget, gate: Path
) -> None:
    assert target.settings == {"gate": str(gate)}
    assert target.reveal_secrets() == {"word": "sesame"}
    page = admin.get("/compute/far/edit/").content.decode()
    assert str(gate) in page
    assert "sesame" not in page
    changed = {"machine": target.machine_id, "gate": "/elsewhere", "max_runs": 1}
    admin.post("/compute/far/edit/", changed)
    target.refresh_from_db()
    assert target.settings == {"gate": "/elsewhere"}
    assert target.reveal_secrets() == {"word": "sesame"}


def test_it_is_checked_in_its_own_way(target: ComputeTarget, gate: Path) -> None:
    def outcomes() -> dict[str, tuple[bool | None, str]]:
        checks = Checks(host=host_of(target), launcher=launcher_of(target))
        return {each.name: (each.is_fine, each.detail) for each in checks}

    found = outcomes()
    assert list(found)[-2:] == ["Gate", "A one-second job"]
    assert all(is_fine for is_fine, _ in found.values())
    gate.unlink()
    found = outcomes()
    assert found["Gate"] == (False, "The gate is shut. Open it.")
    assert found["A one-second job"][0] is None


def test_a_run_on_it_goes_its_way(monitor: Monitor, target: ComputeTarget) -> None:
    run = started(SHOW, target=target, launch={"colour": "red"})
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_text() == "red\n"


def test_the_run_page_tells_what_was_chosen(
    admin: Client, target: ComputeTarget
) -> None:
    run = placed(SHOW, target=target, launch={"colour": "red"})
    overview = admin.get(f"{run.get_absolute_url()}panels/overview/")
    page = " ".join(overview.content.decode().split())
    assert '<dt>Colour</dt> <dd class="mono"> red </dd>' in page


def test_it_stays_on_its_machine_and_a_change_overwrites_nothing_else(
    admin: Client, target: ComputeTarget
) -> None:
    other = ComputeTarget.objects.create(name="other", kind="local")
    form = GateForm(
        {"machine": other.pk, "gate": "/elsewhere", "max_runs": 3}, instance=target
    )
    ComputeTarget.objects.filter(pk=target.pk).update(detached_at=timezone.now())
    assert form.is_valid(), form.errors
    machine = form.save_target().machine
    target.refresh_from_db()
    assert (target.settings, target.max_runs) == ({"gate": "/elsewhere"}, 3)
    assert target.detached_at is not None
    assert machine == target.machine != other


def test_why_a_run_waits_is_told(
    monitor: Monitor, target: ComputeTarget, gate: Path
) -> None:
    gate.unlink()
    run = started(SHOW, target=target)
    sights.look(target)
    run.refresh_from_db()
    assert (run.status, run.sight) == (RunStatus.STARTING, "It waits at the gate.")
    page = factories.signed_in(run.owner).get(run.get_absolute_url())
    assert b"It waits at the gate." in page.content


def test_a_run_that_will_never_begin_ends_with_what_was_seen(
    monitor: Monitor, target: ComputeTarget, gate: Path
) -> None:
    gate.unlink()
    run = started(SHOW, target=target)
    gate.parent.rmdir()
    sights.look(target)
    monitor.wait_for_end(run)
    assert (run.status, run.error) == (RunStatus.FAILED, "The gate is gone.")


def test_a_bad_end_is_explained_once(
    monitor: Monitor,
    target: ComputeTarget,
    gate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execution, "_OVER_WITHIN", 0.2)
    run = started("raise SystemExit(3)", target=target)
    gate.unlink()
    monitor.wait_for_end(run)
    execution.clean_run(run.pk)
    Run.objects.filter(pk=run.pk).update(cleaned_at=None)
    execution.clean_run(run.pk)
    run.refresh_from_db()
    assert run.end_reason == EndReason.EXIT_CODE
    assert run.error.count("Somebody shut the gate.") == 1
    assert run.events.filter(detail="Somebody shut the gate.").count() == 1


def test_what_can_not_be_launched_is_told(target: ComputeTarget) -> None:
    run = placed(SHOW, target=target, launch={"colour": "grey"})
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert run.error == "Grey is no colour. Take another one."


@pytest.mark.parametrize(
    ("colour", "launch", "error"),
    [
        ("blue", {"colour": "blue"}, ""),
        ("", {}, ""),
        ("purple", {}, "Colour: Ensure this value has at most 5 characters"),
    ],
)
def test_the_submit_page_asks_for_its_options(
    target: ComputeTarget, colour: str, launch: dict[str, str], error: str
) -> None:
    form = SubmitForm(QueryDict(f"target={target.pk}&script=a&gate-colour={colour}"))
    assert error in str(form.non_field_errors())
    assert form.configuration.launch == launch
    kept = ScriptRunConfiguration.from_json(form.configuration.to_json())
    assert kept.launch == launch
    page = factories.signed_in(factories.person()).get("/runs/new/").content.decode()
    assert 'name="gate-colour"' in page


def test_a_machine_is_needed_as_long_as_something_is_on_it(
    admin: Client, target: ComputeTarget
) -> None:
    local = target.machine
    assert local is not None
    ComputeTarget.objects.filter(pk=local.pk).update(kind="ssh", host_key="k")
    answer = admin.post("/compute/local/detach/", {"if_active": "wait"}, follow=True)
    assert b"local is still needed to reach far. Detach that first." in answer.content
    assert ComputeTarget.objects.attached().filter(name="local").exists()


def test_a_kind_that_nobody_knows_can_not_be_attached(admin: Client) -> None:
    assert admin.get("/compute/new/none/").status_code == 404
    assert admin.get("/compute/new/local/").status_code == 404
