"""Compute targets that are detached, while runs are active on them or not."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from aml_portal.errors import UserError
from aml_portal.vault import Secret
from computes.models import ComputeTarget
from runs.detaching import IfActive, detach, detach_closed
from runs.models import Run
from runs.status import RunStatus
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]


@pytest.fixture
def target() -> ComputeTarget:
    return ComputeTarget.objects.create(
        name="gpu-box",
        kind="ssh",
        host_key="ssh-ed25519 AAAA",
        secrets=Secret.of("{}"),
        # Nothing is submitted there by this test's portal.
        leave_alone_until=timezone.now() + timedelta(hours=1),
    )


@pytest.fixture
def admin() -> Client:
    return factories.signed_in(User.objects.create(username="boss", is_staff=True))


def test_one_without_runs_is_detached_at_once(
    admin: Client, target: ComputeTarget
) -> None:
    run = factories.ended_run(target=target, cleaned_at=timezone.now())
    answer = admin.post("/compute/gpu-box/detach/")
    assert answer.headers["Location"] == "/compute/"
    target.refresh_from_db()
    assert target.detached_at is not None
    assert admin.get("/compute/gpu-box/").status_code == 404
    page = admin.get("/runs/", {"target": "gpu-box"}).content.decode()
    assert run.run_id in page
    detach_closed()
    target.refresh_from_db()
    assert target.secrets is None


def test_its_name_is_free_again(admin: Client, target: ComputeTarget) -> None:
    admin.post("/compute/gpu-box/detach/")
    ComputeTarget.objects.create(name="gpu-box", kind="ssh")


def test_it_is_refused_while_runs_are_active(
    admin: Client, target: ComputeTarget
) -> None:
    factories.submit(target=target)
    with pytest.raises(UserError, match="1 run is active on gpu-box"):
        detach(target, if_active=IfActive.REFUSE, by="boss")
    answer = admin.post("/compute/gpu-box/detach/", {"if_active": "odd"}, follow=True)
    assert b"1 run is active on gpu-box." in answer.content
    target.refresh_from_db()
    assert (target.closed_at, target.detached_at) == (None, None)


@pytest.mark.parametrize("if_active", [IfActive.WAIT, IfActive.CANCEL])
def test_it_waits_for_its_runs_and_takes_no_new_ones(
    admin: Client, target: ComputeTarget, if_active: IfActive
) -> None:
    running = factories.submit(target=target)
    Run.objects.update(status=RunStatus.RUNNING)
    answer = admin.post(
        "/compute/gpu-box/detach/", {"if_active": if_active}, follow=True
    )
    assert b"is detached when its runs have ended" in answer.content
    assert b"Being detached" in answer.content
    with pytest.raises(UserError, match="is detached"):
        factories.submit(target=ComputeTarget.objects.get(pk=target.pk))
    running.refresh_from_db()
    is_asked = running.status == RunStatus.CANCEL_REQUESTED
    assert is_asked == (if_active == IfActive.CANCEL)
    detach_closed()
    assert target in ComputeTarget.objects.attached()
    Run.objects.update(status=RunStatus.CANCELED)
    detach_closed()
    assert target not in ComputeTarget.objects.attached()
    target.refresh_from_db()
    # Its folder is still to be removed there.
    assert target.secrets is not None
    Run.objects.update(cleaned_at=timezone.now())
    detach_closed()
    target.refresh_from_db()
    assert target.secrets is None


def test_all_on_the_way_are_kept_until_the_last_folder_is_removed(
    target: ComputeTarget,
) -> None:
    fields = {"kind": "ssh", "secrets": Secret.of("{}"), "detached_at": timezone.now()}
    first = ComputeTarget.objects.create(name="first", **fields)
    second = ComputeTarget.objects.create(name="second", jump=first, **fields)
    machine = ComputeTarget.objects.create(name="machine", jump=second, **fields)
    on_it = ComputeTarget.objects.create(name="engine", machine=machine, **fields)
    run = factories.ended_run(target=on_it)
    way = ComputeTarget.objects.exclude(detached_at=None)
    detach_closed()
    assert not way.filter(secrets=None).exists()
    Run.objects.filter(pk=run.pk).update(cleaned_at=timezone.now())
    detach_closed()
    assert not way.exclude(secrets=None).exists()


def test_only_administrators_detach_and_never_this_machine(
    admin: Client, target: ComputeTarget
) -> None:
    stranger = factories.signed_in(factories.person())
    assert stranger.post("/compute/gpu-box/detach/").status_code == 403
    factories.target()
    assert admin.post("/compute/local/detach/").status_code == 403
    assert "Detach" not in admin.get("/compute/local/").content.decode()
    page = admin.get("/compute/gpu-box/").content.decode()
    assert "take no new ones, and wait for their end" in page
