"""Where packages come from: the portal's indexes, certificates and proxies.

Addresses may carry passwords, so they reach uv and pip in their environment alone:
command lines are seen by every account of a machine. They hold while an environment is
resolved or built, and nothing of them stays in it.
"""

import os
from dataclasses import dataclass, replace
from netrc import NetrcParseError, netrc
from typing import Self
from urllib.parse import quote, urlsplit

from django.conf import settings


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """Without an index, that of uv and pip themselves."""

    index: str = ""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    ca_bundle: str = ""
    proxy: str = ""
    no_proxy: str = ""

    @classmethod
    def configured(cls) -> Self:
        """As the settings say."""
        return cls(
            index=settings.PYTHON_INDEX,
            extra=tuple(settings.PYTHON_EXTRA_INDEXES),
            find_links=tuple(settings.PYTHON_FIND_LINKS),
            ca_bundle=settings.PYTHON_CA_BUNDLE,
            proxy=settings.PYTHON_PROXY,
            no_proxy=settings.PYTHON_NO_PROXY,
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.index, *self.extra, *self.find_links)

    def for_uv(self) -> dict[str, str]:
        """The variables to run uv with."""
        return _given(
            UV_DEFAULT_INDEX=self.index,
            UV_INDEX=" ".join(self.extra),
            UV_FIND_LINKS=",".join(self.find_links),
            SSL_CERT_FILE=self.ca_bundle,
            GIT_SSL_CAINFO=self.ca_bundle,
            **self._proxies(),
        )

    def for_pip(self) -> dict[str, str]:
        """The variables to run pip with."""
        return _given(
            PIP_INDEX_URL=self.index,
            PIP_EXTRA_INDEX_URL=" ".join(self.extra),
            PIP_FIND_LINKS=" ".join(self.find_links),
            PIP_CERT=self.ca_bundle,
            **self._proxies(),
        )

    def signed_in(self) -> Self:
        """With what the netrc file has for their hosts in the addresses themselves.

        So that elsewhere nobody has to have the file, and with it the passwords for
        everything else.
        """
        try:
            known = netrc(settings.PYTHON_NETRC or os.path.expanduser("~/.netrc"))  # noqa: PTH111
        except (OSError, NetrcParseError):
            return self
        return replace(
            self,
            index=_signed_in(self.index, known),
            extra=tuple(_signed_in(each, known) for each in self.extra),
            find_links=tuple(_signed_in(each, known) for each in self.find_links),
        )

    def _proxies(self) -> dict[str, str]:
        return {
            "HTTP_PROXY": self.proxy,
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": self.no_proxy,
        }


def _signed_in(address: str, known: netrc) -> str:
    parts = urlsplit(address)
    found = known.authenticators(parts.hostname or "")
    if parts.scheme not in ("http", "https") or parts.username or not found:
        return address
    user, _, password = found
    name = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{name}@{parts.netloc}").geturl()


def _given(**variables: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value}
