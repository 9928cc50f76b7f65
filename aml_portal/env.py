"""Typed readers for the environment; settings.py is their only caller."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_HOST = re.compile(r"([\w-]+(\.[\w-]+)*|\[[0-9a-f:]+\])(:\d{1,5})?", re.ASCII)


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def env_bool(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: use 1 or 0.")


def env_int(
    name: str, default: int, *, minimum: int = 0, maximum: int | None = None
) -> int:
    value = os.environ.get(name)
    if value is None:
        return default
    number = int(value) if value.isdecimal() else -1
    if number < minimum or (maximum is not None and number > maximum):
        limits = f"at least {minimum}" + (f" and at most {maximum}" if maximum else "")
        raise ImproperlyConfigured(
            f"{name} is {value!r}: use a whole number of {limits}."
        )
    return number


def env_list(name: str, default: list[str]) -> list[str]:
    value = os.environ.get(name)
    if value is None:
        return default
    return [part.strip() for part in value.split(",") if part.strip()]


def env_hosts(name: str) -> list[str]:
    """Host names, `host:port`, addresses and networks, in small letters."""
    hosts = [part.lower() for part in env_list(name, [])]
    for host in hosts:
        if not (_HOST.fullmatch(host) or _is_network(host)):
            raise ImproperlyConfigured(
                f"{name} has {host!r}: use names, such as git.example.org or"
                " git.example.org:8443, and networks, such as 10.2.0.0/16."
            )
    return hosts


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def env_roots(name: str) -> list[Path]:
    """Folders that exist, by their real paths."""
    roots = [Path(part) for part in env_list(name, [])]
    for root in roots:
        if not (root.is_absolute() and root.is_dir()):
            raise ImproperlyConfigured(
                f"{name} has {root}, which is no folder: give paths from the root."
            )
    return [root.resolve() for root in roots]


def env_time_zone(name: str, default: str) -> str:
    value = env_str(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(
            f"{name} is {value!r}: use a name like Europe/Berlin."
        ) from None
    return value


def env_folder(name: str, default: Path) -> Path:
    """A folder that exists and, if made here, that only its owner can open."""
    folder = Path(env_str(name) or default).resolve()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name} is {folder}, which can't be made: {error.strerror}."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name} is {folder}, where you may not write.")
    return folder


def env_secret(name: str) -> str:
    """The value of `name`, or the content of the file that `<name>_FILE` names."""
    file = os.environ.get(f"{name}_FILE")
    if file is None:
        return env_str(name)
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}_FILE names {file}, which can't be read: {error.strerror}."
        ) from error
