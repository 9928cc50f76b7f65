"""Where packages come from: the portal's indexes, certificates and proxies.

Addresses may carry passwords, so they reach uv and pip in their environment alone:
command lines are seen by every account of a machine. They hold while an environment is
resolved or built, and nothing of them stays in it.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from django.conf import settings

_PASSWORD = re.compile(r"//[^/@\s]+@")
_SIGN_IN = re.compile(r"//([^/:@\s]+):?([^/@\s]*)@")


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

    def for_uv(self) -> dict[str, str]:
        """The variables to run uv with."""
        return _given(
            UV_DEFAULT_INDEX=self.index,
            UV_INDEX=" ".join(self.extra),
            UV_FIND_LINKS=",".join(self.find_links),
            SSL_CERT_FILE=self.ca_bundle,
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

    def passwords(self) -> list[str]:
        """What signs in to them, as it is in the addresses and as it is meant."""
        addresses = [self.index, *self.extra, *self.find_links, self.proxy]
        found = [_SIGN_IN.search(address) for address in addresses]
        # Of a token there is only the name.
        kept = {each[2] or each[1] for each in found if each}
        return sorted(kept | {unquote(each) for each in kept})

    @staticmethod
    def covered(text: str) -> str:
        """The text without what signs in to addresses, to be shown and logged."""
        return _PASSWORD.sub("//…@", text)

    def _proxies(self) -> dict[str, str]:
        return {
            "HTTP_PROXY": self.proxy,
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": self.no_proxy,
        }


def _given(**variables: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value}
