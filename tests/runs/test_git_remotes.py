"""Addresses, references and folders that are taken, and all those that are not."""

import socket

import pytest
from pytest_django.fixtures import Settings

from aml_portal.errors import UserError
from runs.git_networks import outside
from runs.git_remotes import Remote, checked_folder, checked_reference


@pytest.mark.parametrize(
    ("given", "url", "place", "name"),
    [
        (
            *(" https://GitHub.com/Team/Project.git/ ",),
            *("https://github.com/Team/Project.git", "github.com", "Project"),
        ),
        (
            *("https://git.example.org:443/a", "https://git.example.org/a"),
            *("git.example.org", "a"),
        ),
        (
            *("HTTPS://git.example.org:8443/~ada/b.c", "https://git.example.org:8443"),
            *("git.example.org:8443", "b.c"),
        ),
        (
            *("http://10.0.0.5/x", "http://10.0.0.5/x"),
            *("10.0.0.5", "x"),
        ),
        (
            *("https://[2001:db8::0:1]:444/x", "https://[2001:db8::1]:444/x"),
            *("[2001:db8::1]:444", "x"),
        ),
        (
            *("https://dev.azure.com/o/My%20Project/_git/r", "https://dev.azure.com"),
            *("dev.azure.com", "r"),
        ),
    ],
)
def test_addresses(given: str, url: str, place: str, name: str) -> None:
    remote = Remote.parse(given)
    assert remote.url.startswith(url)
    assert (remote.place, remote.name) == (place, name)
    assert Remote.parse(remote.url) == remote


_STARTS_A_PROGRAM = "starts a program"
_CREDENTIALS = "a user name, a password or a token in it"
_OTHER_CHARACTERS = "has a character that no address has"
_NO_ADDRESS = "no address of a repository"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", _NO_ADDRESS),
        ("ext::sh -c touch% /tmp/evil", _OTHER_CHARACTERS),
        ("ext::sh%20-c", _STARTS_A_PROGRAM),
        ("https::https://github.com/a/b", _STARTS_A_PROGRAM),
        ("::x", _STARTS_A_PROGRAM),
        ("file:///etc", "names a folder of the portal"),
        ("FILE://localhost/etc", "names a folder of the portal"),
        ("/etc", "A path is no address"),
        ("../secret", "A path is no address"),
        ("github.com/team/project", "A path is no address"),
        ("C:\\projects", "A path is no address"),
        ("git://github.com/a/b", "does not fetch over git://"),
        ("ftp://github.com/a/b", "does not fetch over ftp://"),
        ("javascript://github.com/a/b", "does not fetch over javascript://"),
        ("--upload-pack=touch", _NO_ADDRESS),
        ("-https://github.com/a/b", _NO_ADDRESS),
        ("https://-oProxyCommand=x/a", "is no name of a host"),
        ("https://github.com/a\nb", _OTHER_CHARACTERS),
        ("https://github.com/a\tb", _OTHER_CHARACTERS),
        ("https://github.com/a\0", _OTHER_CHARACTERS),
        ("https://github.com/a b", _OTHER_CHARACTERS),
        ("https://gith\u00fcb.com/a", _OTHER_CHARACTERS),
        ("https://ada@github.com/a", _CREDENTIALS),
        ("https://ada:s3cret@github.com/a", _CREDENTIALS),
        ("https://:s3cret@github.com/a", _CREDENTIALS),
        ("https://s3cret@[::1]/a", _CREDENTIALS),
        ("https://github.com/a?private_token=s3cret", "as those of pages have"),
        ("https://github.com/a#s3cret", "as those of pages have"),
        ("https://github.com", "names no repository"),
        ("https://github.com/", "names no repository"),
        ("https://github.com/a\\b", "names no repository"),
        ("https:///a", "is no name of a host"),
        ("https://github.com:99999/a", _NO_ADDRESS),
        ("https://[::1/a", _NO_ADDRESS),
        ("https://[fe80::1%25eth0]/a", "is no name of a host"),
        ("https://2130706433/a", "is no name of a host"),
        ("https://0x7f000001/a", "is no name of a host"),
        ("https://127.1/a", "is no name of a host"),
        ("https://0177.0.0.1/a", "is no name of a host"),
        ("https://a..b/a", "is no name of a host"),
        ("https://localhost./a", "is no name of a host"),
        ("https://github.com/" + "a" * 1000, _NO_ADDRESS),
    ],
)
def test_addresses_that_are_refused(address: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as raised:
        Remote.parse(address)
    assert raised.value.advice
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["", "main", "feature/a-b", "v1.0", "refs/heads/x", "a@b", "ä", "a" * 255]
)
def test_references(name: str) -> None:
    assert checked_reference(f" {name} ") == name


@pytest.mark.parametrize(
    "name",
    [
        *("-main", "--upload-pack=x", "a b", "a\nb", "a..b", "a~1", "a^", "a:b", "a*"),
        *("a?", "a[b", "a\\b", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock"),
        *("a@{1}", "+a:b", "a\x7f", "a" * 256),
    ],
)
def test_references_that_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="is no name of a branch, a tag or a commit"):
        checked_reference(name)


def test_folders() -> None:
    assert [checked_folder(name) for name in ("", "/", ".", " /a/b/ ", "-x")] == [
        *("", "", "", "a/b", "-x")
    ]
    for name in ("..", "a/../b", "a\0b"):
        with pytest.raises(UserError):
            checked_folder(name)


# The networks that are not asked.


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1", "fec0::1"),
        # Those in which one of IPv4 is wrapped.
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "::127.0.0.1"),
        *("2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b::a9fe:a9fe"),
    ],
)
def test_addresses_of_no_public_network(host: str, settings: Settings) -> None:
    settings.GIT_HOSTS = []
    with pytest.raises(UserError, match="in the portal's own or in a private network"):
        outside().addresses_of(host, 443)


@pytest.mark.parametrize("host", ["140.82.121.4", "2606:50c0:8000::153"])
def test_public_addresses(host: str, settings: Settings) -> None:
    settings.GIT_HOSTS = []
    assert outside().addresses_of(host, 443) == [host]


def test_an_address_of_this_machine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a public one; as far as this test can know, only loopback is there."""
    settings.GIT_HOSTS = []
    monkeypatch.setattr("ipaddress.IPv4Address.is_global", True)
    monkeypatch.setattr("ipaddress.IPv4Address.is_reserved", False)
    with pytest.raises(UserError, match="in the portal's own"):
        outside().addresses_of("127.0.0.1", 443)


def test_one_private_address_is_enough(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GIT_HOSTS = []
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
            for address in ("140.82.121.4", "10.0.0.1")
        ],
    )
    with pytest.raises(UserError, match="in the portal's own or in a private network"):
        outside().addresses_of("git.example.org", 443)


def test_a_host_that_is_not_there(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"There is no host nowhere\.invalid"):
        outside().addresses_of("nowhere.invalid", 443)


@pytest.mark.parametrize(
    ("allowed", "host", "port", "is_right"),
    [
        ("localhost", "localhost", 443, True),
        ("localhost", "localhost", 8443, True),
        ("localhost:8443", "localhost", 8443, True),
        ("localhost:8443", "localhost", 443, False),
        ("127.0.0.1", "127.0.0.1", 443, True),
        ("127.0.0.0/8", "localhost", 443, True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", 443, True),
        ("10.0.0.0/8", "127.0.0.1", 443, False),
        ("::1", "::1", 443, True),
        ("[::1]:443", "::1", 443, True),
        ("[::1]:444", "::1", 443, False),
    ],
)
def test_what_the_administrator_allows(
    allowed: str, host: str, port: int, is_right: bool, settings: Settings
) -> None:
    settings.GIT_HOSTS = [allowed]
    if not is_right:
        with pytest.raises(UserError):
            outside().addresses_of(host, port)
        return
    outside().check_plain(host, port, outside().addresses_of(host, port))
