"""Machines that the keys of the portal's key agent sign in to, with real agents."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from aml_portal.errors import TargetError
from computes import tasks
from computes.hosts import Source
from computes.hosts.local import LocalHost
from computes.hosts.ssh import SshHost
from computes.hosts.ssh_connection import SshAccount
from computes.models import ComputeTarget
from tests.factories import signed_in
from tests.services.ssh_agent import SshAgent
from tests.services.sshd import Sshd, make_key
from tests.waiting import eventually


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SshAgent]:
    with SshAgent() as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        yield agent


def host(account: SshAccount, root: Path) -> SshHost:
    return SshHost(account, key="ssh", root=str(root / "far"), python=sys.executable)


def refusal(account: SshAccount, root: Path) -> str:
    far = host(account, root)
    with pytest.raises(TargetError) as caught:
        far.state("job")
    far.close()
    return str(caught.value)


def test_a_key_of_the_agent_signs_in(
    sshd: Sshd, agent: SshAgent, tmp_path: Path
) -> None:
    agent.add(make_key(tmp_path / "another"))
    agent.add(sshd.private_key)
    far = host(sshd.account(private_key="", agent=True), tmp_path)
    assert far.state("job")["state"] == "absent"
    far.close()


def test_the_agent_is_asked_only_where_that_is_chosen(
    sshd: Sshd, agent: SshAgent, tmp_path: Path
) -> None:
    agent.add(sshd.private_key)
    account = sshd.account(private_key="", password="guess")
    assert "does not let the portal sign in" in refusal(account, tmp_path)


def test_keys_that_the_machine_does_not_know_are_told(
    sshd: Sshd, agent: SshAgent, tmp_path: Path
) -> None:
    agent.add(make_key(tmp_path / "another"))
    sentence = refusal(sshd.account(private_key="", agent=True), tmp_path)
    assert "does not let the portal sign in" in sentence
    assert "that the machine knows a key of the portal's key agent" in sentence


def test_no_agent_and_one_without_keys_are_told(
    sshd: Sshd, agent: SshAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = sshd.account(private_key="", agent=True)
    assert "or has no keys. Add the key" in refusal(account, tmp_path)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    assert "does not answer" in refusal(account, tmp_path)
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert "The portal has no key agent." in refusal(account, tmp_path)


@pytest.mark.django_db
@pytest.mark.usefixtures("redis_server")
def test_a_machine_is_attached_without_a_secret(
    sshd: Sshd, agent: SshAgent, tmp_path: Path
) -> None:
    admin = signed_in(User.objects.create(username="boss", is_staff=True))
    form: dict[str, Any] = {
        "name": "gpu-box",
        "address": "127.0.0.1",
        "port": sshd.port,
        "user": sshd.user,
        "agent": "on",
        "root": str(tmp_path / "far"),
        "python": sys.executable,
        "max_runs": 1,
        "takes_runs": "on",
    }
    page = admin.post("/compute/new/ssh/", form).content.decode()
    assert "key agent does not answer, or has no keys" in page
    agent.add(sshd.private_key)
    admin.post("/compute/new/ssh/", form)
    admin.post("/compute/gpu-box/host-key/", {"host_key": sshd.host_key})
    target = ComputeTarget.objects.get(name="gpu-box")
    assert target.reveal_secrets() == {}
    tasks.check_target(target.pk)
    target.refresh_from_db()
    assert [each["is_fine"] for each in target.checks] == [True] * 6
    page = admin.get("/compute/gpu-box/edit/").content.decode()
    assert (
        'name="agent" aria-describedby="id_agent_helptext" id="id_agent" checked'
        in page
    )


def test_scripts_on_the_portals_machine_are_not_told_of_the_agent(
    agent: SshAgent, tmp_path: Path
) -> None:
    """With it they could sign in wherever the portal can."""
    here = LocalHost(tmp_path / "jobs")
    code = "import os; print(os.environ.get('SSH_AUTH_SOCK'))"
    spec = {
        "id": "job",
        "argv": [sys.executable, "-c", code],
        "cwd": "work",
        "env": {},
        "grace_seconds": 1,
        "max_duration_seconds": None,
    }
    here.stage("job", spec, Source(entries=[], objects=tmp_path))
    here.start("job")
    log = tmp_path / "jobs/job/logs/std_log.txt"
    eventually(lambda: log.exists() and log.read_text(), "the script prints")
    assert log.read_text() == "None\n"
