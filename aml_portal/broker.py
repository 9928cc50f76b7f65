"""Where Redis is: the one that REDIS_URL names, or the portal's own server."""

import hashlib
import os
import stat
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

from aml_portal.env import env_secret

# What the kernel takes as the path of a unix socket, in bytes.
SOCKET_PATH_LIMIT = 107
_SHORT_PARENT = Path("/tmp")  # noqa: S108 - the same for every process, unlike TMPDIR


def external_broker_url() -> str:
    """The Redis of someone else, which `serve` then need not start; else empty."""
    return env_secret("REDIS_URL")


def broker_url(data: Path) -> str:
    """The address that RQ and the live notices use."""
    external = external_broker_url()
    if external:
        return external
    socket = socket_path(data)
    if socket.parent.exists():
        check_private(socket.parent)
    return f"unix://{quote(str(socket))}?db=0"


def socket_path(data: Path) -> Path:
    """The socket of the embedded server, where every process finds it by `data`.

    It lies in the data folder unless its path would be too long there.
    """
    usual = data / "redis" / "redis.sock"
    if len(os.fsencode(usual)) <= SOCKET_PATH_LIMIT:
        return usual
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return _SHORT_PARENT / f"aml-portal-{os.geteuid()}-{digest}" / "redis.sock"


def make_private(folder: Path) -> None:
    """Make `folder` for this user alone, or make sure that it is so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)


def check_private(folder: Path) -> None:
    """Refuse a folder in which somebody else could have put a server of theirs."""
    found = folder.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_own or stat.S_IMODE(found.st_mode) & 0o077:
        raise ImproperlyConfigured(
            f"{folder} must be a folder of this user that nobody else can open"
            " (mode 700): correct or remove it."
        )
