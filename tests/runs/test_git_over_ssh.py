"""Repositories that a real sshd gives out, to a person's key and from a known host."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from aml_portal.errors import UserError
from runs.git_credentials import confirm_key, keep_key, login_for
from runs.git_fetch import Fetched, Wanted, fetch
from runs.git_remotes import Remote, checked_host
from runs.models import GitKey
from tests import factories
from tests.runs.sources import LIMITS
from tests.services.git import git, repository
from tests.services.sshd import Sshd, make_key

pytestmark = pytest.mark.django_db
_URL = "/git-credentials/keys/"


@dataclass
class Server:
    """An sshd, and a repository that the account behind it can read."""

    sshd: Sshd
    project: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.sshd.port}"

    @property
    def address(self) -> str:
        return f"ssh://{self.sshd.user}@{self.host}{self.project}"


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[Server]:
    settings.GIT_HOSTS = ["127.0.0.1"]
    project = repository(tmp_path / "project", {"train.py": "print(1)\n"})
    with Sshd() as sshd:
        yield Server(sshd, project)


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


def kept(server: Server, **changes: str) -> GitKey:
    """The key, for a host whose fingerprint was compared."""
    given = {"host": server.host, "private_key": server.sshd.private_key, **changes}
    key = keep_key(factories.person(), **given)
    assert confirm_key(key, key.fingerprint)
    return key


def get(server: Server, place: Path, **wanted: Any) -> Fetched:
    remote = Remote.parse(server.address)
    login = login_for(factories.person(), remote)
    place.mkdir()
    return fetch(Wanted(remote=remote, **wanted), place, limits=LIMITS, login=login)


def test_a_repository_over_ssh(server: Server, tmp_path: Path) -> None:
    kept(server)
    fetched = get(server, tmp_path / "place", reference="main")
    assert (fetched.folder / "train.py").read_text() == "print(1)\n"
    assert fetched.commit == git(server.project, "rev-parse", "main")
    secret = server.sshd.private_key.split()[10].encode()
    places = [path for path in (tmp_path / "place").rglob("*") if path.is_file()]
    assert not [path for path in places if secret in path.read_bytes()]


def test_a_key_with_a_passphrase(server: Server, tmp_path: Path) -> None:
    private = make_key(tmp_path / "key", "a passphrase")
    authorized = server.sshd.folder / "authorized_keys"
    authorized.write_text((tmp_path / "key.pub").read_text())
    for wrong in ("", "another"):
        with pytest.raises(UserError, match=r"passphrase|encrypted"):
            kept(server, private_key=private, passphrase=wrong)
    # As the form of a page sends it.
    private = private.replace("\n", "\r\n").strip()
    kept(server, private_key=private, passphrase="a passphrase")
    assert get(server, tmp_path / "place").branch == "main"


def test_another_key_of_the_host(server: Server, tmp_path: Path) -> None:
    """As of somebody in between."""
    kept(server)
    server.sshd.stop()
    for name in ("host_key", "host_key.pub"):
        (server.sshd.folder / name).unlink()
    make_key(server.sshd.folder / "host_key")
    server.sshd.start()
    with pytest.raises(UserError, match="another key than the one that you confirmed"):
        get(server, tmp_path / "place")


def test_a_key_that_the_host_does_not_know(server: Server, tmp_path: Path) -> None:
    kept(server, private_key=make_key(tmp_path / "key"))
    with pytest.raises(UserError, match="refuses your SSH key"):
        get(server, tmp_path / "place")


def test_a_repository_that_is_not_there(server: Server, tmp_path: Path) -> None:
    kept(server)
    server.project = tmp_path / "nothing"
    with pytest.raises(UserError, match="There is no repository at this address"):
        get(server, tmp_path / "place")


def test_a_host_that_is_not_there_any_more(server: Server, tmp_path: Path) -> None:
    kept(server)
    server.sshd.stop()
    with pytest.raises(UserError, match="did not answer"):
        get(server, tmp_path / "place")


def test_nothing_is_fetched_without_a_key(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="You have no SSH key for 127"):
        get(server, tmp_path / "place")


def test_nothing_is_fetched_from_a_host_that_nobody_confirmed(
    server: Server, tmp_path: Path
) -> None:
    key = keep_key(
        factories.person(), host=server.host, private_key=server.sshd.private_key
    )
    assert not confirm_key(key, "SHA256:another")
    with pytest.raises(UserError, match="not confirmed yet that 127"):
        get(server, tmp_path / "place")


def test_a_private_network_is_not_asked(server: Server, settings: Settings) -> None:
    settings.GIT_HOSTS = []
    with pytest.raises(UserError, match="in a private network"):
        kept(server)
    assert not GitKey.objects.exists()


def test_what_is_no_key(server: Server) -> None:
    for text in ("nonsense", (server.sshd.folder / "user_key.pub").read_text()):
        with pytest.raises(UserError, match="private key can't be read"):
            kept(server, private_key=text)


# The pages.


def test_add_compare_and_remove(client: Client, server: Server) -> None:
    form = {"host": server.host, "private_key": server.sshd.private_key}
    page = client.post(f"{_URL}new/", form, follow=True).content.decode()
    key = GitKey.objects.get()
    fingerprint = git_fingerprint(server)
    assert key.fingerprint == fingerprint
    assert fingerprint in page
    assert "It is the same" in page
    assert "PRIVATE KEY" not in page
    client.post(f"{_URL}{key.pk}/confirm/", {"fingerprint": "SHA256:x"})
    assert not GitKey.objects.get().is_confirmed
    client.post(f"{_URL}{key.pk}/confirm/", {"fingerprint": fingerprint})
    assert GitKey.objects.get().is_confirmed
    assert "It is the same" not in client.get("/git-credentials/").content.decode()

    # Another key may be of another host, or of somebody in between.
    client.post(f"{_URL}new/", form)
    assert not GitKey.objects.get().is_confirmed
    client.post(f"{_URL}{key.pk}/remove/")
    assert not GitKey.objects.exists()


def git_fingerprint(server: Server) -> str:
    """As ssh-keygen tells it."""
    path = str(server.sshd.folder / "host_key.pub")
    words = subprocess.check_output(["ssh-keygen", "-l", "-f", path], text=True)
    return words.split()[1]


def test_a_wrong_form_comes_back_without_the_key(
    client: Client, server: Server
) -> None:
    form = {"host": "127.0.0.1:1", "private_key": server.sshd.private_key}
    page = client.post(f"{_URL}new/", form, follow=True).content.decode()
    assert "can&#x27;t be reached" in page
    assert "PRIVATE KEY" not in page


def test_keys_are_their_owner_s(client: Client, server: Server) -> None:
    key = kept(server)
    other = factories.signed_in(factories.person("grace"))
    assert server.host not in other.get("/git-credentials/").content.decode()
    form = {"fingerprint": key.fingerprint}
    assert other.post(f"{_URL}{key.pk}/confirm/", form).status_code == 404
    assert other.post(f"{_URL}{key.pk}/remove/").status_code == 404


# Addresses.


@pytest.mark.parametrize(
    ("given", "url", "place"),
    [
        ("git@github.com:team/a.git", "git@github.com:team/a.git", "github.com"),
        ("git@github.com:/srv/a", "ssh://git@github.com/srv/a", "github.com"),
        ("ssh://git@GitHub.com/a", "ssh://git@github.com/a", "github.com"),
        ("ssh://git@github.com:22/~/a", "ssh://git@github.com/~/a", "github.com"),
        ("ssh://a-b@h.org:2222/a", "ssh://a-b@h.org:2222/a", "h.org:2222"),
        ("git@[2001:db8::1]:a/b", "git@[2001:db8::1]:a/b", "[2001:db8::1]"),
    ],
)
def test_addresses_of_ssh(given: str, url: str, place: str) -> None:
    remote = Remote.parse(given)
    assert (remote.url, remote.place) == (url, place)
    assert Remote.parse(remote.url) == remote


@pytest.mark.parametrize(
    "address",
    [
        *("ssh://-oProxyCommand=touch/a", "ssh://git@-oProxyCommand=touch/a"),
        *("ssh://-oProxyCommand=touch@github.com/a", "-oProxyCommand=x@github.com:a"),
        *("git@-oProxyCommand=x:a", "git@github.com:-a", "git@github.com:", "@h:a"),
        *("ssh://github.com/a", "ssh://git:s3cret@github.com/a", "git@h:a b", "git@h:"),
        *("git@github.com:a\nb", "git@h:a;touch x", "git@h:a`x`", "git@h:a\0"),
        *("git+ssh://git@github.com/a", "git@host@other:a", "ssh://a@b@github.com/a"),
    ],
)
def test_addresses_of_ssh_that_are_refused(address: str) -> None:
    with pytest.raises(UserError) as raised:
        Remote.parse(address)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("github.com", "github.com"),
        ("git@github.com:team/project.git", "github.com"),
        ("ssh://git@github.com:2222/x", "github.com:2222"),
        ("ssh://github.com", "github.com"),
        ("h.org:2222", "h.org:2222"),
    ],
)
def test_hosts_of_keys(given: str, place: str) -> None:
    assert checked_host(given, "ssh").place == place
