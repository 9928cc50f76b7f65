"""Machines over SSH that are not as they should be, each a real sshd."""

import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aml_portal.errors import TargetError
from computes.checks import Checks
from computes.hosts import Source, StreamClosed, TargetAwayError, ssh
from computes.hosts.ssh import SshHost
from computes.hosts.ssh_connection import (
    HostKeyChangedError,
    SshAccount,
    host_key_of,
    read_key,
)
from computes.launchers.process import ProcessLauncher
from tests.services.sshd import Sshd, make_key
from tests.waiting import eventually, free_port


def host(account: SshAccount, root: Path, python: str = sys.executable) -> SshHost:
    return SshHost(account, key="ssh", root=str(root / "far"), python=python)


def refusal(account: SshAccount, root: Path, python: str = sys.executable) -> str:
    """The sentence with which a question ends."""
    far = host(account, root, python)
    with pytest.raises(TargetError) as caught:
        far.state("job")
    far.close()
    return str(caught.value)


def process_of(root: Path) -> int:
    """That which answers questions for `root`."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().split(b"\0")[:-1]
        if words[-2:] == [b"serve", os.fsencode(root)]:
            return int(path.parent.name)
    raise AssertionError("There is none.")


def test_another_key_does_not_sign_in(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    sentence = refusal(sshd.account(private_key=other), tmp_path)
    assert "does not let the portal sign in" in sentence
    assert "Check the user name" in sentence
    assert "PRIVATE KEY" not in sentence


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_encrypted_keys_of_all_kinds_are_read(tmp_path: Path, kind: str) -> None:
    text = make_key(tmp_path / "key", passphrase="open sesame", kind=kind)
    assert read_key(text, "open sesame").can_sign()
    with pytest.raises(TargetError, match="can't be read with this passphrase"):
        read_key(text, "guess")
    with pytest.raises(TargetError, match=r"is encrypted\. Give its passphrase"):
        read_key(text)


@pytest.mark.parametrize("text", ["", "no key", "ssh-ed25519 AAAA me@home", "\0" * 99])
def test_what_is_no_private_key_is_told(text: str) -> None:
    with pytest.raises(TargetError, match="can't be read"):
        read_key(text)


def test_an_encrypted_key_signs_in(sshd: Sshd, tmp_path: Path) -> None:
    text = make_key(tmp_path / "key", passphrase="p")
    with (sshd.folder / "authorized_keys").open("a") as file:
        file.write((tmp_path / "key.pub").read_text())
    far = host(sshd.account(private_key=text, passphrase="p"), tmp_path)
    assert far.state("job")["state"] == "absent"
    far.close()


def test_a_host_that_is_down_may_come_back(sshd: Sshd, tmp_path: Path) -> None:
    far = host(sshd.account(port=free_port()), tmp_path)
    with pytest.raises(TargetAwayError, match="can't be reached: connection refused"):
        far.state("job")


@pytest.mark.parametrize("address", ["nobody.invalid", "n" * 64, "a..b"])
def test_a_name_that_nobody_has_is_told(
    sshd: Sshd, tmp_path: Path, address: str
) -> None:
    sentence = refusal(sshd.account(address=address), tmp_path)
    assert "there is no host of this name" in sentence


class _Web(BaseHTTPRequestHandler):
    """Speaks first, as no browser expects."""

    def handle(self) -> None:
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_port_that_speaks_http_is_told(sshd: Sshd, tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sentence = refusal(sshd.account(port=server.server_address[1]), tmp_path)
        server.shutdown()
    assert "can't be reached" in sentence


def test_a_port_that_says_nothing_is_given_up(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("computes.hosts.ssh_connection._CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "can't be reached" in refusal(sshd.account(port=port), tmp_path)


def test_a_changed_host_key_stops_all(own_sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    kind, data, *_ = (tmp_path / "other.pub").read_text().split()
    far = host(own_sshd.account(host_key=f"{kind} {data}"), tmp_path)
    with pytest.raises(HostKeyChangedError, match="somebody else may be answering"):
        far.state("job")
    with pytest.raises(HostKeyChangedError):
        far.follow()
    # Nobody tried to sign in there.
    assert "authenti" not in (own_sshd.folder / "log").read_text()


def test_the_host_key_is_told_before_it_is_trusted(sshd: Sshd) -> None:
    key = host_key_of("127.0.0.1", sshd.port)
    assert f"{key.get_name()} {key.get_base64()}" == sshd.host_key
    assert key.fingerprint.startswith("SHA256:")


NOISE = 'printf \'Welcome!\\n{"answer": 1}\\n\'; exec sh -c "$SSH_ORIGINAL_COMMAND"'


def test_a_login_shell_may_print_what_it_likes(tmp_path: Path) -> None:
    with Sshd(ForceCommand=NOISE) as noisy:
        far = host(noisy.account(), tmp_path)
        assert far.state("job")["state"] == "absent"
        assert all(
            outcome.is_fine
            for outcome in Checks(host=far, launcher=ProcessLauncher(far))
        )
        far.close()


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
def test_an_account_that_may_run_nothing_is_told(tmp_path: Path, shell: str) -> None:
    with Sshd(ForceCommand=shell) as closed:
        sentence = refusal(closed.account(), tmp_path)
    assert "starts no Python" in sentence
    assert "currently not available" in sentence or shell == "/bin/false"
    assert "Check the account's login shell" in sentence


def test_an_account_that_prints_for_ever_is_given_up(tmp_path: Path) -> None:
    with Sshd(ForceCommand="yes") as endless:
        assert "starts no Python" in refusal(endless.account(), tmp_path)


def test_a_python_that_is_not_there_is_told(sshd: Sshd, tmp_path: Path) -> None:
    sentence = refusal(sshd.account(), tmp_path, python="/no/such/python; $(x)")
    assert "starts no Python" in sentence
    assert "path of Python 3.8 or newer" in sentence


def test_a_python_that_is_too_old_is_told(sshd: Sshd, tmp_path: Path) -> None:
    old = tmp_path / "python3.6"
    given = "import sys; sys.version_info = (3, 6, 9); sys.argv = ['-c']; "
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S -c "{given}$5"\n')
    old.chmod(0o755)
    old.write_text(old.read_text().replace("$5", "$4"))
    sentence = refusal(sshd.account(), tmp_path, python=str(old))
    assert "Python 3.6" in sentence
    assert "is too old. Give the path of Python 3.8 or newer." in sentence


def test_a_folder_that_can_not_be_made_is_told(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "far").write_text("a file")
    sentence = refusal(sshd.account(), tmp_path)
    assert f"{tmp_path / 'far'} can't be used" in sentence


def test_it_goes_on_after_the_server_was_killed(own_sshd: Sshd, tmp_path: Path) -> None:
    far = host(own_sshd.account(), tmp_path)
    stream = far.follow()
    far.state("job")
    own_sshd.stop()

    def has_ended() -> bool:
        try:
            stream.read(0.02)
        except StreamClosed:
            return True
        return False

    eventually(has_ended, "the stream says that it ended")
    with pytest.raises(TargetAwayError):
        far.state("job")
    own_sshd.start()
    assert far.state("job")["state"] == "absent"
    far.close()


def test_a_server_that_was_restarted_is_asked_as_if_nothing_was(
    own_sshd: Sshd, tmp_path: Path
) -> None:
    far = host(own_sshd.account(), tmp_path)
    far.state("job")
    own_sshd.stop()
    own_sshd.start()
    assert far.state("job")["state"] == "absent"
    far.close()


def test_a_host_that_takes_nothing_in_is_given_up(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = host(sshd.account(), tmp_path)
    monkeypatch.setattr(ssh, "_SEND_SECONDS", 0.5)
    far.state("job")
    pid = process_of(tmp_path / "far")
    os.kill(pid, signal.SIGSTOP)
    # The question alone is more than is sent before it is taken in.
    entries = [
        {"path": f"{n}", "size": 1, "sha256": f"{n:064x}"} for n in range(90_000)
    ]
    try:
        with pytest.raises(TargetAwayError, match="did not answer"):
            far.stage("job", {}, Source(entries=entries, objects=tmp_path))
    finally:
        os.kill(pid, signal.SIGKILL)
    assert far.state("job")["state"] == "absent"
    far.close()


def test_two_sessions_are_enough_for_everything(tmp_path: Path) -> None:
    with Sshd(MaxSessions="2") as narrow:
        far = host(narrow.account(), tmp_path)
        stream = far.follow()
        threads = [
            threading.Thread(target=far.state, args=(f"job{n}",)) for n in range(9)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # What is closed makes room.
        for _ in range(4):
            stream.close()
            stream = far.follow()
            eventually(lambda s=stream: s.read(0.02), "it beats")  # type: ignore[misc]
        far.close()


def test_another_host_is_on_the_way(sshd: Sshd, own_sshd: Sshd, tmp_path: Path) -> None:
    far = host(sshd.account(jump=own_sshd.account()), tmp_path)
    assert far.state("job")["state"] == "absent"
    own_sshd.stop()
    with pytest.raises(TargetAwayError):
        far.state("job")


def test_a_forked_process_has_a_connection_of_its_own(
    sshd: Sshd, tmp_path: Path
) -> None:
    far = host(sshd.account(), tmp_path)
    far.state("job")
    child = os.fork()
    if child == 0:
        os._exit(0 if far.state("job")["state"] == "absent" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert far.state("job")["state"] == "absent"
    far.close()


def test_no_secret_is_shown_by_an_account(sshd: Sshd) -> None:
    account = sshd.account(password="hunter2", passphrase="hunter3")
    assert "hunter" not in repr(account)
    assert "PRIVATE" not in repr(account)
