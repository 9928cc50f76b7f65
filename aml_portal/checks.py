"""System checks: settings that can't work together, each with what to do about it."""

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Error, Warning as CheckWarning, register

_BROKER_SCHEMES = {"redis", "rediss", "unix"}
_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "::1"}


@register()
def check_public_url(**kwargs: Any) -> list[CheckMessage]:
    url = urlsplit(settings.PORTAL_URL)
    if not settings.PORTAL_URL or (
        url.scheme in {"http", "https"} and url.hostname and not url.path
    ):
        return []
    return [
        Error(
            f"AML_PORTAL_URL is {settings.PORTAL_URL!r}, which is no site's address.",
            hint="Use https://NAME or http://NAME:PORT, without a path.",
            id="portal.E001",
        )
    ]


@register()
def check_broker(**kwargs: Any) -> list[CheckMessage]:
    if urlsplit(settings.REDIS_URL).scheme in _BROKER_SCHEMES:
        return []
    return [
        Error(
            "REDIS_URL names no Redis.",
            hint="Use redis://, rediss:// or unix://; without it, one is started.",
            id="portal.E002",
        )
    ]


@register()
def check_vault_keys(**kwargs: Any) -> list[CheckMessage]:
    try:
        for key in settings.VAULT_KEYS:
            Fernet(key)
    except ValueError:
        return [
            Error(
                "AML_PORTAL_VAULT_KEYS has a key that is none.",
                hint="A key is 32 random bytes in URL-safe base64, as"
                " cryptography's Fernet.generate_key() makes them.",
                id="portal.E004",
            )
        ]
    return []


@register()
def check_assets(**kwargs: Any) -> list[CheckMessage]:
    if finders.find("vendor/icons.svg"):
        return []
    return [
        Error(
            "The front-end assets are not there.",
            hint="Run make assets.",
            id="portal.E003",
        )
    ]


@register()
def check_reachable(**kwargs: Any) -> list[CheckMessage]:
    """A portal that listens to everybody but answers to no name they know."""
    names = {settings.PORTAL_HOST, *settings.ALLOWED_HOSTS} - {"0.0.0.0", "::"}  # noqa: S104
    if settings.PORTAL_HOST in _LOCAL_NAMES or names - _LOCAL_NAMES:
        return []
    return [
        CheckWarning(
            "The portal listens to other machines, but answers only to local names.",
            hint="Name its address with AML_PORTAL_URL.",
            id="portal.W001",
        )
    ]
