"""Machines with accounts as they are found: how each signs in, and what it says.

Each account is a real one, of another machine with an sshd of its own.
"""

from contextlib import closing
from pathlib import Path

import pytest

from aml_portal.errors import TargetError
from computes.checks import Checks
from computes.hosts import TargetAwayError
from computes.hosts.bootstrap import become_runner, command
from computes.hosts.ssh import SshChannel, SshHost
from computes.hosts.ssh_connection import SshAccount, SshConnection
from computes.launchers.process import ProcessLauncher
from tests.computes.objects import source
from tests.services.machine import PASSWORD, Machine
from tests.waiting import eventually

ROOT = "~/.aml-portal"


def host(account: SshAccount, python: str = "python3") -> SshHost:
    return SshHost(account, key="ssh", root=ROOT, python=python)


def refusal(account: SshAccount, python: str = "python3") -> str:
    """The sentence with which a question ends."""
    far = host(account, python)
    with pytest.raises(TargetError) as caught:
        far.state("job")
    far.close()
    return str(caught.value)


@pytest.mark.parametrize("user", ["ada", "typist"])
def test_a_password_signs_in(machine: Machine, user: str) -> None:
    """Given at once, or typed when the server asks for it."""
    far = host(machine.account(user, private_key="", password=PASSWORD))
    assert far.facts()["host"] == "far"
    far.close()


@pytest.mark.parametrize("user", ["ada", "typist", "who"])
def test_a_wrong_password_is_told(machine: Machine, user: str) -> None:
    sentence = refusal(machine.account(user, private_key="", password="guess"))
    assert f"{user}@{machine.address} does not let the portal sign in" in sentence
    assert "Check the user name, and the password or the private key." in sentence
    assert "guess" not in sentence


@pytest.mark.parametrize("user", ["chatty", "fish"])
def test_any_login_shell_will_do(machine: Machine, user: str) -> None:
    far = host(machine.account(user))
    checks = Checks(host=far, launcher=ProcessLauncher(far))
    assert [each.detail for each in checks if not each.is_fine] == []
    far.close()


def test_an_account_that_may_not_sign_in_is_told(machine: Machine) -> None:
    sentence = refusal(machine.account("nobody"))
    assert "starts no Python: This account is currently not available. " in sentence
    assert "Check the account's login shell" in sentence


def test_so_it_is_if_the_account_was_shut_before_it_was_asked(machine: Machine) -> None:
    account = machine.account("nobody")
    with closing(SshConnection(account)) as connection:
        opened = connection.execute(command("python3"))
        eventually(lambda: opened.closed, "the shell has ended")
        with pytest.raises(TargetError, match="is currently not available"):
            become_runner(SshChannel(opened), verb="serve", root=ROOT, name="nobody")


@pytest.mark.parametrize("user", ["ada", "fish"])
def test_a_machine_without_python_is_told(machine: Machine, user: str) -> None:
    sentence = refusal(machine.account(user), python="python4")
    assert "starts no Python" in sentence
    assert "not found" in sentence or "Unknown command" in sentence
    assert "path of Python 3.8 or newer" in sentence


@pytest.mark.parametrize(
    ("user", "why"),
    [("readonly", "Read-only file system"), ("packed", "No space left on device")],
)
def test_a_home_that_takes_nothing_is_told(
    machine: Machine, user: str, why: str
) -> None:
    for _ in range(2):
        sentence = refusal(machine.account(user))
        assert f"/home/{user}/.aml-portal can't be used: {why}." in sentence
        assert "Give another working folder, or free some space." in sentence
    # Else each try would leave a little more there.
    root = machine.path(f"/home/{user}/.aml-portal")
    assert not root.exists() or list(root.iterdir()) == []


def test_a_home_without_room_takes_no_files_and_then_does(
    machine: Machine, tmp_path: Path
) -> None:
    far = host(machine.account("narrow"))
    large = source(tmp_path, {"train.py": bytes(1_200_000)})
    with pytest.raises(TargetError, match=r"disk is full\. Free some space there\."):
        far.stage("job", {}, large)
    assert far.state("job")["state"] == "absent"
    small = source(tmp_path, {"train.py": b"print(1)"})
    far.stage("job", {}, small)
    assert far.state("job")["state"] == "not_started"
    far.clean("job")
    far.close()


def test_a_machine_that_is_down_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("computes.hosts.ssh_connection._CONNECT", 1)
    far = host(machine.account())
    machine.pull_cable()
    try:
        with pytest.raises(TargetAwayError) as caught:
            far.state("job")
    finally:
        machine.plug_cable()
    assert "can't be reached: there was no answer in time." in str(caught.value)
    assert far.state("job")["state"] == "absent"
    far.close()
