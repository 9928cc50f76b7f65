"""Machines as administrators attach them: the form, the host key, the checks."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from aml_portal.queues import imports_queue
from computes import services, tasks
from computes.models import ComputeTarget
from computes.ssh_settings import fingerprint_of
from computes.targets import host_of
from runs.monitor import Monitor
from tests.factories import ended_run, person, signed_in
from tests.services.sshd import Sshd, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_server")]
FINE = [True] * 6


@pytest.fixture
def admin() -> Client:
    return signed_in(User.objects.create(username="boss", is_staff=True))


@pytest.fixture
def filled(sshd: Sshd, tmp_path: Path) -> dict[str, Any]:
    """The form as it is typed for the server."""
    return {
        "name": "gpu-box",
        "address": "127.0.0.1",
        "port": sshd.port,
        "user": sshd.user,
        "private_key": sshd.private_key,
        "root": str(tmp_path / "far"),
        "python": sys.executable,
        "max_runs": 3,
        "takes_runs": "on",
    }


def attached(admin: Client, filled: dict[str, Any], sshd: Sshd) -> ComputeTarget:
    admin.post("/compute/new/ssh/", filled)
    admin.post("/compute/gpu-box/host-key/", {"host_key": sshd.host_key})
    target = ComputeTarget.objects.get(name="gpu-box")
    assert target.is_trusted
    return target


def errors(admin: Client, filled: dict[str, Any]) -> str:
    answer = admin.post("/compute/new/ssh/", filled)
    assert answer.status_code == 200
    assert not ComputeTarget.objects.filter(name="gpu-box").exists()
    return " ".join(answer.content.decode().split()).replace("&#x27;", "'")


def test_a_machine_is_attached_step_by_step(
    admin: Client, filled: dict[str, Any], sshd: Sshd
) -> None:
    answer = admin.post("/compute/new/ssh/", filled)
    assert answer.headers["Location"] == "/compute/gpu-box/host-key/"
    target = ComputeTarget.objects.get(name="gpu-box")
    # Until somebody has looked at the key, nothing goes there.
    assert target not in ComputeTarget.objects.usable()
    page = admin.get("/compute/gpu-box/host-key/").content.decode()
    assert fingerprint_of(sshd.host_key) in page
    answer = admin.post("/compute/gpu-box/host-key/", {"host_key": sshd.host_key})
    assert answer.headers["Location"] == "/compute/gpu-box/"
    assert target in ComputeTarget.objects.usable()
    assert "Being checked" in admin.get("/compute/gpu-box/").content.decode()
    tasks.check_target(target.pk)
    target.refresh_from_db()
    assert [check["is_fine"] for check in target.checks] == FINE
    assert target.last_seen_at is not None
    assert not target.is_being_checked
    page = admin.get("/compute/gpu-box/").content.decode()
    assert "A job of one second ran from its start to its end." in page
    assert "hx-trigger" not in page.partition('id="target-body"')[2].partition(">")[0]
    assert "gpu-box" in admin.get("/runs/new/").content.decode()


def test_secrets_are_nowhere_in_the_clear(
    admin: Client, filled: dict[str, Any], sshd: Sshd, tmp_path: Path
) -> None:
    filled |= {"password": "hunter2", "passphrase": "hunter3"}
    target = attached(admin, filled, sshd)
    assert target.reveal_secrets()["private_key"] == sshd.private_key
    call_command("dumpdata", "computes", output=str(tmp_path / "dump.json"))
    places = [
        (tmp_path / "dump.json").read_text(),
        *(
            admin.get(f"/compute/{part}").content.decode()
            for part in ("", "gpu-box/", "gpu-box/edit/", "gpu-box/checks/")
        ),
        repr(target),
        repr(host_of(target)),
    ]
    for place in places:
        assert "hunter" not in place
        assert "OPENSSH PRIVATE KEY" not in place
        assert sshd.private_key.splitlines()[1] not in place


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"private_key": ""}, "Neither a private key nor a password was given."),
        ({"private_key": "no key"}, "The private key can't be read."),
        ({"name": "x"}, "Use 2 to 16 letters, digits and dashes"),
        ({"name": "local"}, "There is a target of this name"),
        ({"port": 70000}, "less than or equal to 65535"),
        ({"address": ""}, "This field is required."),
        ({"max_runs": 0}, "greater than or equal to 1"),
    ],
)
def test_what_can_not_be_is_told(
    admin: Client, filled: dict[str, Any], wrong: dict[str, Any], sentence: str
) -> None:
    assert sentence in errors(admin, filled | wrong)


def test_an_encrypted_key_needs_its_passphrase(
    admin: Client, filled: dict[str, Any], tmp_path: Path
) -> None:
    filled["private_key"] = make_key(tmp_path / "key", passphrase="sesame")
    assert "Give its passphrase." in errors(admin, filled)
    assert "with this passphrase" in errors(admin, filled | {"passphrase": "guess"})
    answer = admin.post("/compute/new/ssh/", filled | {"passphrase": "sesame"})
    assert answer.status_code == 302


def test_a_machine_that_is_away_is_told_where_its_key_is_looked_for(
    admin: Client, filled: dict[str, Any]
) -> None:
    admin.post("/compute/new/ssh/", filled | {"port": 1})
    page = admin.get("/compute/gpu-box/host-key/").content.decode()
    assert "can&#x27;t be reached: connection refused." in page
    assert "Try again" in page


@pytest.mark.parametrize("key", ["", "ssh-ed25519 AAAA", "<b>", "ssh-rsa " + "A" * 80])
def test_what_is_no_host_key_is_not_pinned(
    admin: Client, filled: dict[str, Any], key: str
) -> None:
    admin.post("/compute/new/ssh/", filled)
    admin.post("/compute/gpu-box/host-key/", {"host_key": key})
    assert not ComputeTarget.objects.get(name="gpu-box").is_trusted


def test_a_change_keeps_secrets_and_a_new_address_has_to_be_looked_at(
    admin: Client, filled: dict[str, Any], sshd: Sshd
) -> None:
    target = attached(admin, filled, sshd)
    change = {**filled, "private_key": "", "max_runs": 7}
    admin.post("/compute/gpu-box/edit/", change)
    target.refresh_from_db()
    assert (target.max_runs, target.is_trusted) == (7, True)
    assert target.reveal_secrets()["private_key"] == sshd.private_key
    answer = admin.post("/compute/gpu-box/edit/", change | {"address": "localhost"})
    assert answer.headers["Location"] == "/compute/gpu-box/host-key/"
    target.refresh_from_db()
    assert not target.is_trusted


@pytest.mark.parametrize(
    "change",
    [{"address": "localhost"}, {"port": 22}, {"user": "eve"}, {"root": "/elsewhere"}],
)
def test_it_stays_where_the_jobs_of_runs_are(
    admin: Client, filled: dict[str, Any], sshd: Sshd, change: dict[str, Any]
) -> None:
    target = attached(admin, filled, sshd)
    cluster = ComputeTarget.objects.create(name="on-it", kind="slurm", machine=target)
    runs = [
        ended_run(target=target, status="NotResponding"),
        ended_run(target=cluster, status="Preparing"),
    ]
    ended_run(target=target)
    ended_run(target=target, status="Queued")
    answer = admin.post("/compute/gpu-box/edit/", filled | change)
    assert "2 runs are at work on gpu-box, and would be lost" in answer.content.decode()
    before = ComputeTarget.objects.get(pk=target.pk)
    assert (before.settings, before.is_trusted) == (target.settings, True)
    # What is no matter of where it is can be changed.
    admin.post("/compute/gpu-box/edit/", filled | {"python": "/usr/bin/python3"})
    assert ComputeTarget.objects.get(pk=target.pk).python == "/usr/bin/python3"
    for run in runs:
        run.delete()
    admin.post("/compute/gpu-box/edit/", filled | change)
    after = ComputeTarget.objects.get(pk=target.pk)
    assert after.settings == target.settings | change


def test_a_changed_host_key_is_a_plain_warning(
    admin: Client, filled: dict[str, Any], sshd: Sshd, tmp_path: Path
) -> None:
    target = attached(admin, filled, sshd)
    make_key(tmp_path / "other")
    kind, data, *_ = (tmp_path / "other.pub").read_text().split()
    ComputeTarget.objects.filter(pk=target.pk).update(host_key=f"{kind} {data}")
    tasks.check_target(target.pk)
    page = admin.get("/compute/gpu-box/").content.decode()
    assert "somebody else may be answering in its place" in page
    assert "In trouble" in page
    page = admin.get("/compute/gpu-box/host-key/").content.decode()
    assert "It is another key than was confirmed before" in page


def test_another_machine_on_the_way(
    admin: Client, filled: dict[str, Any], sshd: Sshd
) -> None:
    first = attached(admin, filled, sshd)
    with Sshd() as second:
        inner = filled | {"name": "inner", "port": second.port, "jump": first.pk}
        inner["private_key"] = second.private_key
        admin.post("/compute/new/ssh/", inner)
        page = admin.get("/compute/inner/host-key/").content.decode()
        assert fingerprint_of(second.host_key) in page
        admin.post("/compute/inner/host-key/", {"host_key": second.host_key})
        target = ComputeTarget.objects.get(name="inner")
        tasks.check_target(target.pk)
        target.refresh_from_db()
        assert [check["is_fine"] for check in target.checks] == FINE
    answer = admin.post("/compute/gpu-box/edit/", filled | {"jump": target.pk})
    assert b"is itself reached through this machine" in answer.content


def test_only_administrators_change_anything(
    filled: dict[str, Any], admin: Client, sshd: Sshd
) -> None:
    attached(admin, filled, sshd)
    stranger = signed_in(person("ada"))
    assert stranger.get("/compute/gpu-box/").status_code == 200
    for path in ("new/ssh/", "gpu-box/edit/", "gpu-box/host-key/"):
        assert stranger.get(f"/compute/{path}").status_code == 403
        assert stranger.post(f"/compute/{path}", filled).status_code == 403
    assert stranger.post("/compute/gpu-box/check/").status_code == 403
    page = stranger.get("/compute/gpu-box/").content.decode()
    assert "Test" not in page.partition("Checks</h2>")[2].partition("</section>")[0]


@pytest.mark.django_db(transaction=True)
def test_checks_are_asked_for_once_and_again_when_they_are_due(
    admin: Client, filled: dict[str, Any], sshd: Sshd
) -> None:
    ComputeTarget.objects.exclude(name="gpu-box").delete()
    queue = imports_queue()
    queue.delete(delete_jobs=True)
    target = attached(admin, filled, sshd)
    admin.post("/compute/gpu-box/check/")
    assert [job.args for job in queue.jobs] == [(target.pk,)]
    tasks.check_target(target.pk)
    services.ask_for_due_checks()
    assert len(queue.jobs) == 1
    ago = timezone.now() - timedelta(minutes=10)
    ComputeTarget.objects.update(check_asked_at=ago, checked_at=ago)
    Monitor()._look_at_targets()
    assert len(queue.jobs) == 2
    queue.delete(delete_jobs=True)


def test_every_change_makes_it_another_host(
    admin: Client, filled: dict[str, Any], sshd: Sshd
) -> None:
    """Else a process that is connected would go on as it was told before."""
    first = attached(admin, filled, sshd)
    inner = filled | {"name": "inner", "jump": first.pk}
    admin.post("/compute/new/ssh/", inner)
    admin.post("/compute/inner/host-key/", {"host_key": sshd.host_key})

    def key() -> str:
        return host_of(ComputeTarget.objects.get(name="inner")).key

    seen = {key()}
    for change in ({"root": "/elsewhere"}, {"python": "/usr/bin/python3"}):
        admin.post("/compute/inner/edit/", inner | change)
        assert key() not in seen
        seen.add(key())
    # What opens the machine on the way there.
    admin.post("/compute/gpu-box/edit/", filled | {"password": "another"})
    assert key() not in seen
    assert key() == key()
