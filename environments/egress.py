"""Where uv and rattler get to when a definition names addresses: people chose these.

They are given a proxy, on this machine and for this one time, that connects to hosts
which may be connected to, and to no other. So links, redirects and names that are
looked up once more lead nowhere else either. The rule is that by which git repositories
are fetched (aml_portal/networks.py); the portal's own indexes are allowed.
"""

import base64
import secrets
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from django.conf import settings

from aml_portal.errors import UserError
from aml_portal.networks import NoHostError, Outside
from environments import channels
from environments.definition import CondaDependencies
from environments.indexes import Indexes

_PORTS = {"http": 80, "https": 443}
_USER = "portal"
# What a repository names as its submodules, git would fetch by any protocol; uv's own
# copies are files. The helpers know what the portal's account signs in with.
_GIT = {
    "protocol.allow": "never",
    "protocol.file.allow": "user",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "credential.helper": "",
}
# Seconds to connect within, and without a word, before a connection is given up.
_SECONDS = 10
_SILENCE = 60
_BLOCK = 64 * 1024
_LONGEST_ANSWER = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Egress:
    """The variables to start a program with; what it was refused so far, and which
    hosts can't be reached, with a sentence why.
    """

    variables: dict[str, str] = field(default_factory=dict)
    refusals: list[UserError] = field(default_factory=list)
    unreachable: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises the first refusal: the likely reason why a program had no success."""
        for refusal in self.refusals:
            raise refusal


@contextmanager
def egress_of(dependencies: CondaDependencies) -> Iterator[Egress]:
    """What a program that works on these gets. The portal's own places are trusted:
    without an address in the definition, nothing stands in between.
    """
    if not dependencies.names_addresses:
        yield Egress()
        return
    with _Proxy(("127.0.0.1", 0), _Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy.egress
        finally:
            proxy.shutdown()


class _Proxy(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.indexes = Indexes.configured()
        self.outside = Outside(
            allowed=[*settings.PACKAGE_HOSTS, *_own_places(self.indexes)],
            setting="AML_PORTAL_PACKAGE_HOSTS",
        )
        # Other accounts of this machine can reach the port, too.
        self.token = secrets.token_urlsafe()
        self.egress = Egress(variables=self._variables())

    def _variables(self) -> dict[str, str]:
        address = f"http://{_USER}:{self.token}@127.0.0.1:{self.server_address[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        return {
            **dict.fromkeys(names, address),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
            "GIT_CONFIG_COUNT": str(len(_GIT)),
            **{f"GIT_CONFIG_KEY_{n}": name for n, name in enumerate(_GIT)},
            **{f"GIT_CONFIG_VALUE_{n}": each for n, each in enumerate(_GIT.values())},
            "UV_HTTP_RETRIES": "1",
        }

    def connect(self, host: str, port: int, *, is_plain: bool) -> "_Way":
        """Raises UserError for where nobody may go, OSError if it can't be reached."""
        upstream = self._upstream(host)
        try:
            addresses = self.outside.addresses_of(host, port)
        except NoHostError:
            if not upstream:
                raise
            # There it may be known.
            addresses = []
        if is_plain:
            self.outside.check_plain(host, port, addresses)
        if upstream:
            place = (upstream.hostname or "", upstream.port or _PORTS["http"])
            far = socket.create_connection(place, _SECONDS)
            return _Way(far=far, account=_account(upstream))
        return _Way(far=socket.create_connection((addresses[0], port), _SECONDS))

    def _upstream(self, host: str) -> SplitResult | None:
        """The proxy that the portal itself has to take there."""
        without = {"no": self.indexes.no_proxy}
        if not self.indexes.proxy or proxy_bypass_environment(host, without):
            return None
        parts = urlsplit(self.indexes.proxy)
        if parts.scheme != "http":
            raise UserError(
                "Addresses of definitions can't be reached by the portal's proxy.",
                "An administrator can set one of http:// in AML_PORTAL_PYTHON_PROXY.",
            )
        return parts

    def handle_error(self, request: object, client_address: object) -> None:
        """Not on the portal's standard error: whoever asked has gone."""


@dataclass(frozen=True, kw_only=True)
class _Way:
    """A connection to a host; with an account, to the proxy that leads there."""

    far: socket.socket
    account: str | None = None

    def open_tunnel(self, place: str) -> bool:
        """Whether the proxy, if there is one, leads to the place."""
        if self.account is None:
            return True
        head = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{self.account}\r\n"
        self.far.sendall(head.encode("latin-1"))
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_ANSWER:
            # One by one, since what follows is no longer the proxy's.
            if not (byte := self.far.recv(1)):
                return False
            answer += byte
        return answer.split(b" ", 2)[1:2] == [b"200"]


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE

    def handle(self) -> None:
        # Whoever asked has gone, or has asked for something that is no address.
        with suppress(OSError, ValueError):
            super().handle()

    def do_CONNECT(self) -> None:
        way = self._way(f"//{self.path}", "https")
        if way is None:
            return
        with way.far as far:
            if not way.open_tunnel(self.path):
                self.send_error(HTTPStatus.BAD_GATEWAY)
                return
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self._relay(far)

    def do_GET(self) -> None:
        way = self._way(self.path, "http")
        if way is None:
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with way.far as far:
            far.sendall(self._head(way).encode("latin-1") + body)
            self._relay(far)

    do_HEAD = do_POST = do_GET

    def _way(self, address: str, scheme: str) -> _Way | None:
        """The way to the host of an address; None if the program was told why not."""
        given = self.headers.get("Proxy-Authorization", "")
        wanted = _basic(_USER, self.server.token)
        if not secrets.compare_digest(given.encode(), wanted.encode()):
            self.send_response(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
            self.send_header("Proxy-Authenticate", 'Basic realm="portal"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        egress, place = self.server.egress, urlsplit(address)
        host, port = place.hostname or "", place.port or _PORTS[scheme]
        if place.netloc in egress.unreachable:
            # One does not wait for it once more.
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        try:
            return self.server.connect(host, port, is_plain=scheme == "http")
        except NoHostError as error:
            egress.unreachable[place.netloc] = error.message
        except OSError as error:
            why = error.strerror or error
            egress.unreachable[place.netloc] = f"{host} can't be reached: {why}."
        except UserError as error:
            egress.refusals.append(error)
        self.send_error(HTTPStatus.FORBIDDEN)
        return None

    def _head(self, way: _Way) -> str:
        """The request as it goes on: for one answer, and as its receiver expects it."""
        parts = urlsplit(self.path)
        place = self.path
        if way.account is None:
            place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kept = [
            f"{name}: {value}\r\n"
            for name, value in self.headers.items()
            if not name.lower().startswith(("proxy-", "connection", "keep-alive"))
        ]
        line = f"{self.command} {place} HTTP/1.1\r\n"
        return f"{line}{''.join(kept)}{way.account or ''}Connection: close\r\n\r\n"

    def _relay(self, far: socket.socket) -> None:
        """Until one side ends, or both are silent for long."""
        self.close_connection = True
        others = {self.connection: far, far: self.connection}
        with selectors.DefaultSelector() as selector:
            for each, other in others.items():
                selector.register(each, selectors.EVENT_READ, (each, other))
            while ready := selector.select(_SILENCE):
                for near, other in (key.data for key, _ in ready):
                    if not (data := near.recv(_BLOCK)):
                        return
                    other.sendall(data)

    def log_message(self, *args: object) -> None:
        """Not on the portal's standard error."""


def _own_places(indexes: Indexes) -> Iterator[str]:
    """The hosts, with their ports, that the settings say packages come from."""
    for address in (*indexes.addresses, channels.alias()):
        parts = urlsplit(address)
        if parts.scheme in _PORTS and parts.hostname:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            yield f"{host}:{parts.port or _PORTS[parts.scheme]}"


def _account(proxy: SplitResult) -> str:
    if not proxy.username:
        return ""
    basic = _basic(unquote(proxy.username), unquote(proxy.password or ""))
    return f"Proxy-Authorization: {basic}\r\n"


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
