"""One SSH connection to a host, for all that the portal's process does there."""

import base64
import io
import os
import socket
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field

import paramiko

from aml_portal.errors import TargetError
from computes.hosts.base import TargetAwayError

_CONNECT = 15
# Seconds without an acknowledgement after which the kernel gives up a connection, and
# from one word to the next on an idle one.
_DEAD_AFTER_MS = 30_000
_KEEP_ALIVE = 10
_KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_NO_KEY_OF_AGENT = (
    "Check the user name, and that the machine knows a key of the portal's key agent,"
    " which “ssh-add -L” lists."
)


@dataclass(frozen=True, kw_only=True)
class SshAccount:
    """How to reach an account; the secrets are in clear, so it is never written down.

    `host_key` is pinned: such as "ssh-ed25519 AAAA…". `jump` is on the way there.
    """

    address: str
    user: str
    host_key: str
    port: int = 22
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    # Whether the keys of the agent may sign in that this process can ask.
    agent: bool = False
    jump: "SshAccount | None" = None

    def __str__(self) -> str:
        port = "" if self.port == 22 else f":{self.port}"
        return f"{self.user}@{self.address}{port}"


class HostKeyChangedError(TargetError):
    """Somebody else may be answering; nothing was sent to it."""


class SshConnection:
    """Opened when it is needed, and again when it broke; any thread may use it."""

    def __init__(self, account: SshAccount) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._clients: list[paramiko.SSHClient] = []

    def execute(self, command: str) -> paramiko.Channel:
        """Have the login shell run `command`. Raises TargetError."""
        with self._lock:
            try:
                return self._open(command)
            except (paramiko.SSHException, OSError, EOFError):
                # The connection was dead, which shows only when it is used.
                self._drop()
            try:
                return self._open(command)
            except (paramiko.SSHException, OSError, EOFError) as error:
                self._drop()
                raise TargetAwayError(
                    f"{self._account} opened no session ({error})."
                ) from error

    def transport(self) -> paramiko.Transport:
        """The connection as it is, or a new one. Raises TargetError."""
        transport = self._clients[-1].get_transport() if self._clients else None
        if transport is None or not transport.is_active():
            self._drop()
            transport = self._connect()
        return transport

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _open(self, command: str) -> paramiko.Channel:
        transport = self.transport()
        channel = transport.open_session(timeout=_CONNECT)
        channel.exec_command(command)
        return channel

    def _drop(self) -> None:
        for client in reversed(self._clients):
            with suppress(Exception):
                client.close()
        self._clients = []

    def _connect(self) -> paramiko.Transport:
        hops = [self._account]
        while hop := hops[0].jump:
            hops.insert(0, hop)
        via: paramiko.Transport | None = None
        for account in hops:
            client, via = _connected(account, via)
            self._clients.append(client)
        assert via is not None
        return via


def _connected(
    account: SshAccount, via: paramiko.Transport | None
) -> tuple[paramiko.SSHClient, paramiko.Transport]:
    client = paramiko.SSHClient()
    _pin(client, account)
    if account.agent:
        check_agent()
    try:
        client.connect(
            account.address,
            account.port,
            account.user,
            sock=_socket(account, via),
            pkey=_key(account),
            password=account.password or None,
            allow_agent=account.agent,
            look_for_keys=False,
            timeout=_CONNECT,
            banner_timeout=_CONNECT,
            auth_timeout=_CONNECT,
        )
    except paramiko.BadHostKeyException as error:
        raise HostKeyChangedError(
            f"The host key of {account} is another one than was pinned: somebody else"
            " may be answering in its place.",
            "Nothing runs on this target until an administrator has looked at it.",
        ) from error
    except paramiko.AuthenticationException as error:
        raise TargetError(
            f"{account} does not let the portal sign in: {_words(error)}.",
            _NO_KEY_OF_AGENT
            if account.agent
            else "Check the user name, and the password or the private key.",
        ) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise TargetAwayError(
            f"{account} can't be reached: {_words(error)}."
        ) from error
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(_KEEP_ALIVE)
    return client, transport


def _pin(client: paramiko.SSHClient, account: SshAccount) -> None:
    kind, _, data = account.host_key.partition(" ")
    named = account.address
    if account.port != 22:
        named = f"[{account.address}]:{account.port}"
    key = paramiko.PKey.from_type_string(kind, _decoded(data))
    client.get_host_keys().add(named, kind, key)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())


def _socket(
    account: SshAccount, via: paramiko.Transport | None
) -> socket.socket | paramiko.Channel:
    if via is not None:
        return _through(via, account.address, account.port)
    return _connect_to(account.address, account.port)


def _through(via: paramiko.Transport, address: str, port: int) -> paramiko.Channel:
    place, nobody = (address, port), ("127.0.0.1", 0)
    return via.open_channel("direct-tcpip", place, nobody, timeout=_CONNECT)


def _connect_to(
    address: str, port: int, hop: SshConnection | None = None
) -> socket.socket | paramiko.Channel:
    if hop is not None:
        return _through(hop.transport(), address, port)
    try:
        connected = socket.create_connection((address, port), _CONNECT)
    except UnicodeError as error:
        # A name that could be none; it says more of Python than of that.
        raise socket.gaierror from error
    # Paramiko sends small packets one by one, each of which would wait for the last.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Else a connection that was cut silently would be waited for for a quarter hour.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)
    return connected


def read_key(text: str, passphrase: str = "") -> paramiko.PKey:
    """A private key as OpenSSH or PEM write it. Raises TargetError."""
    for kind in _KEYS:
        try:
            return kind.from_private_key(io.StringIO(text), passphrase or None)
        except paramiko.PasswordRequiredException as error:
            raise TargetError(
                "The private key is encrypted.", "Give its passphrase."
            ) from error
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    if passphrase or "ENCRYPTED" in text:
        raise TargetError(
            "The private key can't be read with this passphrase.", "Type it again."
        )
    raise TargetError(
        "The private key can't be read.",
        "Paste an Ed25519, ECDSA or RSA key as ssh-keygen writes it.",
    )


def check_agent() -> None:
    """Raise TargetError unless a key agent offers this process some keys."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        raise TargetError(
            "The portal has no key agent.",
            "Start the portal where SSH_AUTH_SOCK names one, or give a private key.",
        )
    with closing(paramiko.Agent()) as agent:
        if not agent.get_keys():
            raise TargetError(
                "The portal's key agent does not answer, or has no keys.",
                "Add the key that signs in there with “ssh-add”.",
            )


def host_key_of(
    address: str, port: int = 22, *, via: SshAccount | None = None
) -> paramiko.PKey:
    """The key with which a host answers, before anything is trusted to it.

    With `via` it is asked through that one. Raises TargetAwayError.
    """
    hop = SshConnection(via) if via else None
    try:
        with closing(_connect_to(address, port, hop)) as connected:
            transport = paramiko.Transport(connected)
            try:
                transport.start_client(timeout=_CONNECT)
                return transport.get_remote_server_key()
            finally:
                transport.close()
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise TargetAwayError(
            f"{address}, port {port}, can't be reached: {_words(error)}."
        ) from error
    finally:
        if hop:
            hop.close()


def spelled(key: paramiko.PKey) -> str:
    """A host key as it is pinned: such as "ssh-ed25519 AAAA…"."""
    return f"{key.get_name()} {key.get_base64()}"


def _key(account: SshAccount) -> paramiko.PKey | None:
    if not account.private_key:
        return None
    return read_key(account.private_key, account.passphrase)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:
        raise TargetError("The pinned host key can't be read.") from error


def _words(error: BaseException) -> str:
    """What an error of the network says, in words that suit a sentence."""
    match error:
        case socket.gaierror():
            return "there is no host of this name"
        case TimeoutError():
            return "there was no answer in time"
        case OSError(strerror=str(text)):
            return text.lower() if text else type(error).__name__
        case EOFError():
            return "it closed the connection"
    return str(error).strip().rstrip(".") or type(error).__name__
