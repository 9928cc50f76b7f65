"""What a person may ask to be fetched with git: an address, a reference, a folder.

All that git or a server could take for something else is refused here.
"""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address
from typing import Self
from urllib.parse import SplitResult, urlsplit

from aml_portal.errors import UserError
from runs.snapshots import safe_path
from runs.snapshots.names import show

_LONGEST = 1000
_PORTS = {"https": 443, "http": 80, "ssh": 22}
_EXAMPLE = "Give one such as https://git.example.org/team/project.git."
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# The short form of ssh: its path begins at the home of the user.
_SHORT_SSH = re.compile(
    r"(?P<user>[^/@:]+)@(?P<host>\[[^]@]*\]|[^/@:\[]+):(?P<path>.*)"
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# What some programs read as a number of an address, and others as a name.
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_REFERENCE = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\]{1,255}")
_NOT_IN_REFERENCE = ("..", "@{", "//", "/.")


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The address of a repository, taken apart; no credentials are in it.

    The name of the user is a part of addresses of ssh, and of no other. There, a path
    that does not begin with a slash begins at the user's home.
    """

    scheme: str
    host: str
    port: int
    path: str
    user: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UserError for what is not fetched from."""
        text = text.strip()
        if "://" not in text and (short := _SHORT_SSH.fullmatch(text)):
            return cls._over_ssh(text, **short.groupdict())
        scheme = _scheme_of(text)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise UserError("This is no address of a repository.", _EXAMPLE) from error
        _check(parts)
        user = _checked_user(parts.username) if scheme == "ssh" else ""
        path = parts.path.rstrip("/")
        if not _PATH.fullmatch(path):
            raise UserError("The address names no repository of its host.", _EXAMPLE)
        return cls(
            scheme=scheme,
            host=_checked_host(parts.hostname or ""),
            port=_PORTS[scheme] if port is None else port,
            path=path,
            user=user,
        )

    @classmethod
    def _over_ssh(cls, text: str, user: str, host: str, path: str) -> Self:
        """Of the short form, in which a path from the root is like any other."""
        _check_characters(text)
        is_from_root = path.startswith("/")
        found = cls.parse(f"ssh://{user}@{host}/{path.lstrip('/')}")
        if is_from_root:
            return found
        if path.startswith("-"):
            raise UserError("The address names no repository of its host.", _EXAMPLE)
        return replace(found, path=found.path.removeprefix("/"))

    @property
    def place(self) -> str:
        """The host, and its port if that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        if not self.path.startswith("/"):
            return f"{self.user}@{self.place}:{self.path}"
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{self.place}{self.path}"

    @property
    def name(self) -> str:
        """What its folder would be called."""
        return self.path.removesuffix(".git").rstrip("/").rpartition("/")[2]


def checked_host(text: str, scheme: str = "https") -> Remote:
    """Any repository of the host that an address, or a host by itself, names."""
    url = text.strip().rstrip("/").removeprefix(f"{scheme}://")
    if scheme == "ssh" and "@" not in url:
        url = f"git@{url}"
    is_short = scheme == "ssh" and text.strip() == url
    if not is_short and "://" not in url:
        url = f"{scheme}://{url}"
    # With something behind it, since an address names more than a host.
    remote = Remote.parse(f"{url}/-")
    if remote.scheme != scheme:
        raise UserError(f"This is used over {scheme}:// only.", "Give just the host.")
    return remote


def checked_reference(text: str) -> str:
    """A branch, tag or commit by its name; "" is the server's choice."""
    name = text.strip()
    is_odd = name.startswith(("-", "/", ".")) or name.endswith(("/", ".", ".lock"))
    is_odd = is_odd or any(each in name for each in _NOT_IN_REFERENCE)
    if name and (is_odd or not _REFERENCE.fullmatch(name)):
        raise UserError(
            f"“{show(name)}” is no name of a branch, a tag or a commit.",
            "Copy it from the page of the repository.",
        )
    return name


def checked_folder(text: str) -> str:
    """A folder below the top of a repository; "" is the top."""
    name = text.strip().strip("/")
    return safe_path(name) if name not in ("", ".") else ""


def _scheme_of(text: str) -> str:
    if not text or text.startswith("-") or len(text) > _LONGEST:
        raise UserError("This is no address of a repository.", _EXAMPLE)
    _check_characters(text)
    if _HELPER.match(text):
        raise UserError(
            "An address with “::” starts a program, which the portal does not.",
            _EXAMPLE,
        )
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if scheme not in _PORTS:
        raise _other_scheme(scheme)
    return scheme


def _other_scheme(scheme: str) -> UserError:
    if scheme == "file":
        return UserError("A file:// address names a folder of the portal.", _EXAMPLE)
    if scheme:
        return UserError(f"The portal does not fetch over {scheme}://.", _EXAMPLE)
    return UserError("A path is no address of a repository.", _EXAMPLE)


def _check_characters(text: str) -> None:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UserError(
            "The address has a character that no address has.",
            "Copy it once more; names of other alphabets begin with xn--.",
        )


def _checked_user(user: str | None) -> str:
    if user is None or not _USER.fullmatch(user):
        raise UserError(
            "An address of ssh names a user, such as git@ before the host.",
            "Copy it from the page of the repository.",
        )
    return user


def _check(parts: SplitResult) -> None:
    is_user = parts.scheme == "ssh" and parts.password is None
    if "@" in parts.netloc and not is_user:
        raise UserError(
            "The address has a user name, a password or a token in it.",
            "Take it out, and keep it under Git credentials, in the menu of your"
            " account.",
        )
    if parts.query or parts.fragment:
        raise UserError(
            "The address has a “?” or a “#” in it, as those of pages have.", _EXAMPLE
        )


def _checked_host(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        if _NAME.fullmatch(host) and not _NUMBER.fullmatch(host):
            return host
        raise UserError(f"“{show(host)}” is no name of a host.", _EXAMPLE) from None
    if isinstance(address, IPv6Address) and address.scope_id:
        raise UserError(f"“{show(host)}” is no name of a host.", _EXAMPLE)
    return str(address)
