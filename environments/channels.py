"""Channels of conda: the addresses behind their names, and what signs in to them.

What signs in stays out of the addresses, since those are kept in locks and shown.
"""

from collections.abc import Sequence
from functools import cache
from urllib.parse import unquote, urlsplit

from django.conf import settings

DEFAULT = ("conda-forge",)
# What conda itself calls “defaults” has another name among all channels.
_DEFAULTS = "main"


def addresses(names: Sequence[str]) -> list[str]:
    """The channels in order, as rattler takes them."""
    # Another's rules for them all, which have no meaning in a list of one's own.
    named = [name for name in names if name != "nodefaults"] or DEFAULT
    return [_address(name) for name in named]


def alias() -> str:
    """The address below which channels are that are given by a name."""
    return str(settings.CONDA_CHANNEL_ALIAS or _rattlers_own())


@cache
def _rattlers_own() -> str:
    # What only who uses channels has to wait for.
    from rattler import Channel

    return str(Channel("any").base_url).removesuffix("/any/")


def credentials() -> dict[str, dict[str, dict[str, str]]]:
    """What rattler's file of credentials has to say, if anything."""
    parts = urlsplit(alias())
    if not parts.username:
        return {}
    account = {
        "username": unquote(parts.username),
        "password": unquote(parts.password or ""),
    }
    return {parts.hostname or "": {"BasicHTTP": account}}


def _address(name: str) -> str:
    if "://" in name:
        return name
    if name == "defaults" and not settings.CONDA_CHANNEL_ALIAS:
        name = _DEFAULTS
    parts = urlsplit(alias())
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}/{name}"
