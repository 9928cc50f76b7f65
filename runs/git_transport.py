"""How git reaches a remote: which addresses it asks, and who the portal is there."""

import base64
import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from typing import Self

from django.conf import settings

from computes.hosts.ssh_connection import SshAccount
from runs.git_networks import outside
from runs.git_remotes import Remote
from runs.git_ssh import ACCOUNT

# A server that sends less than so many bytes a second is left after so many seconds.
_SLOWEST = 1000
_SILENCE = 30
# Words of a shell, but constant ones; -P keeps what is fetched from being imported.
_SSH = shlex.join([sys.executable, "-P", "-m", "runs.git_ssh"])


@dataclass(frozen=True, kw_only=True)
class Login:
    """Who the portal is to a server that asks."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Key:
    """The same for a server of ssh, and the key by which that one is known."""

    private_key: str = field(repr=False)
    passphrase: str = field(repr=False)
    host_key: str


@dataclass(frozen=True, kw_only=True)
class Transport:
    """What git is told; both may hold secrets."""

    configuration: dict[str, str] = field(repr=False)
    environment: dict[str, str] = field(repr=False)

    @classmethod
    def to(cls, remote: Remote, login: Login | Key | None) -> Self:
        """Raises UserError for a remote that git must not talk to."""
        addresses = outside().addresses_of(remote.host, remote.port)
        environment = {"GIT_ALLOW_PROTOCOL": remote.scheme}
        if isinstance(login, Key):
            environment |= _over_ssh(remote, login, addresses[0])
            return cls(configuration={}, environment=environment)
        configuration = _over_http(remote, addresses)
        if login:
            pair = base64.b64encode(f"{login.user}:{login.secret}".encode()).decode()
            header = f"http.{remote.scheme}://{remote.place}/.extraHeader"
            configuration[header] = f"Authorization: Basic {pair}"
        return cls(configuration=configuration, environment=environment)


def _over_ssh(remote: Remote, key: Key, address: str) -> dict[str, str]:
    account = SshAccount(
        address=address, port=remote.port, user=remote.user, **asdict(key)
    )
    return {
        ACCOUNT: json.dumps(asdict(account)),
        "GIT_SSH_COMMAND": _SSH,
        "GIT_SSH_VARIANT": "ssh",
        "PYTHONPATH": str(settings.BASE_DIR),
    }


def _over_http(remote: Remote, addresses: list[str]) -> dict[str, str]:
    if remote.scheme == "http":
        outside().check_plain(remote.host, remote.port, addresses)
    return {
        "http.emptyAuth": "false",
        "http.followRedirects": "false",
        "http.lowSpeedLimit": str(_SLOWEST),
        "http.lowSpeedTime": str(_SILENCE),
        # A proxy would look the host up once more, elsewhere.
        "http.proxy": "",
        "http.curloptResolve": _pinned(remote, addresses),
    }


def _pinned(remote: Remote, addresses: list[str]) -> str:
    """In the spelling of curl; "" for what is an address itself, and not looked up."""
    if remote.host in addresses:
        return ""
    spelled = [f"[{each}]" if ":" in each else each for each in addresses]
    return f"{remote.host}:{remote.port}:{','.join(spelled)}"
