"""Credentials for git: kept by a person, used for one host, and shown to nobody."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from aml_portal.errors import UserError
from runs.git_credentials import keep_credential, login_for
from runs.git_remotes import Remote
from runs.git_transport import Login
from runs.models import GitCredential
from tests import factories

pytestmark = pytest.mark.django_db

_URL = "/git-credentials/"
_SECRET = "ghp_a very secret token"


@pytest.fixture
def client() -> Client:
    return factories.signed_in(factories.person())


def add(client: Client, **changes: str) -> Any:
    form = {"host": "github.com", "user_name": "ada", "secret": _SECRET, **changes}
    return client.post(f"{_URL}new/", form, follow=True)


def page(client: Client, url: str = _URL) -> str:
    return client.get(url).content.decode()


def test_add_look_replace_and_remove(client: Client) -> None:
    assert "No credentials are kept" in page(client)
    shown = add(client).content.decode()
    assert "The credential for github.com is kept." in shown
    assert "github.com" in page(client)
    assert _SECRET not in shown + page(client) + page(client, f"{_URL}new/")
    kept = GitCredential.objects.get()
    assert kept.secret.reveal() == _SECRET

    add(client, user_name="grace", secret="another")
    kept.refresh_from_db()
    assert (kept.user_name, kept.secret.reveal()) == ("grace", "another")

    removed = client.post(f"{_URL}{kept.pk}/remove/", follow=True).content.decode()
    assert "What was kept for github.com is removed." in removed
    assert not GitCredential.objects.exists()


def test_a_form_that_is_wrong_comes_back_without_the_secret(client: Client) -> None:
    for changes in ({"host": "a b"}, {"user_name": ""}, {"user_name": "a:b"}):
        shown = add(client, **changes).content.decode()
        assert "errorlist" in shown
        assert _SECRET not in shown
    assert not GitCredential.objects.exists()


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("GitHub.com", "github.com"),
        (" https://github.com/ ", "github.com"),
        ("https://github.com/team/project.git", "github.com"),
        ("git.example.org:8443", "git.example.org:8443"),
        ("git.example.org:443", "git.example.org"),
        ("[::1]:8443", "[::1]:8443"),
    ],
)
def test_hosts(given: str, host: str) -> None:
    kept = keep_credential(
        factories.person(), host=given, user_name="ada", secret=_SECRET
    )
    assert kept.host == host


@pytest.mark.parametrize(
    ("host", "user_name", "secret"),
    [
        ("", "ada", "x"),
        ("-oProxyCommand=x", "ada", "x"),
        ("ada:x@github.com", "ada", "x"),
        ("http://github.com", "ada", "x"),
        ("github.com?a", "ada", "x"),
        ("github.com", "ada:x", "x"),
        ("github.com", "ada\r\nX: y", "x"),
        ("github.com", "ada", "x\r\nHost: y"),
    ],
)
def test_what_is_refused(host: str, user_name: str, secret: str) -> None:
    with pytest.raises(UserError):
        keep_credential(
            factories.person(), host=host, user_name=user_name, secret=secret
        )
    assert not GitCredential.objects.exists()


def test_they_are_their_owner_s(client: Client) -> None:
    add(client)
    kept = GitCredential.objects.get()
    other = factories.signed_in(factories.person("grace"))
    assert "github.com" not in page(other)
    assert other.post(f"{_URL}{kept.pk}/remove/").status_code == 404
    add(other, user_name="grace")
    assert GitCredential.objects.count() == 2


@pytest.mark.parametrize(
    ("address", "is_used"),
    [
        ("https://github.com/a/b", True),
        ("https://GITHUB.com:443/a/b", True),
        ("https://github.com:8443/a/b", False),
        ("https://www.github.com/a/b", False),
        ("https://github.com.evil.org/a/b", False),
        ("https://evil.org/github.com/b", False),
        ("http://github.com/a/b", False),
        ("http://github.com:443/a/b", False),
    ],
)
def test_it_is_used_for_exactly_its_host(address: str, is_used: bool) -> None:
    ada, grace = factories.person(), factories.person("grace")
    keep_credential(ada, host="github.com", user_name="ada", secret=_SECRET)
    login = login_for(ada, Remote.parse(address))
    assert login == (Login(user="ada", secret=_SECRET) if is_used else None)
    assert login_for(grace, Remote.parse(address)) is None


def test_a_person_s_credentials_go_with_the_account(client: Client) -> None:
    add(client)
    factories.person().delete()
    assert not GitCredential.objects.exists()


def test_no_page_of_administrators_has_them() -> None:
    assert not admin.site.is_registered(GitCredential)
