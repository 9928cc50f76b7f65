"""A server of git repositories for tests: git's own backend behind an HTTP server."""

import base64
import datetime as dt
import ipaddress
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BLOCK = 16 * 1024


class GitServer:
    """Gives out the repositories below `root`, to who signs in if there is a `login`.

    What it does can be changed at any time: `redirect_to`, `is_silent`, `holds` (it
    stops in the middle of what it sends), `knows_v2`. `seen` has the requests' paths.
    """

    def __init__(self, root: Path, login: tuple[str, str] | None = None) -> None:
        self.root = root
        self.login = login
        self.redirect_to = ""
        self.is_silent = self.holds = False
        self.knows_v2 = True
        self.seen: list[str] = []
        self.credentials: list[str] = []
        self.released = threading.Event()
        self.is_held = threading.Event()
        self.url = ""

    def wants(self, authorization: str) -> bool:
        if self.login is None:
            return False
        pair = base64.b64encode(":".join(self.login).encode()).decode()
        return authorization != f"Basic {pair}"


@contextmanager
def serving(
    server: GitServer, *, address: str = "127.0.0.1", certificate: Path | None = None
) -> Iterator[GitServer]:
    """Let `server` answer; with a `certificate` (and key), over TLS."""
    handler = type("Handler", (_Handler,), {"git": server})
    with ThreadingHTTPServer((address, 0), handler) as http:
        http.daemon_threads = True
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
            scheme = "https"
        server.url = f"{scheme}://{address}:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            http.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    git: GitServer

    def do_GET(self) -> None:
        self.git.seen.append(self.path)
        authorization = self.headers.get("Authorization", "")
        self.git.credentials.append(authorization)
        if self.git.is_silent:
            self.git.released.wait()
        elif self.git.redirect_to:
            self._answer(301, {"Location": self.git.redirect_to + self.path})
        elif self.git.wants(authorization):
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._pass_on()

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        """Tests print nothing."""

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        backend = subprocess.Popen(
            ["git", "http-backend"],
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert backend.stdin
        assert backend.stdout
        with backend:
            backend.stdin.write(body)
            backend.stdin.close()
            self._send(backend.stdout.read())

    def _send(self, said: bytes) -> None:
        head, _, body = said.partition(b"\r\n\r\n")
        lines = [line.decode().partition(": ") for line in head.split(b"\r\n")]
        headers = {name: value for name, _, value in lines}
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for start in range(0, len(body), _BLOCK):
            self.wfile.write(body[start : start + _BLOCK])
            if self.git.holds and len(body) > _BLOCK:
                self.git.is_held.set()
                self.git.released.wait()

    def _environment(self) -> dict[str, str]:
        url = urlsplit(self.path)
        environment = {
            **os.environ,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.git.root),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": self.command,
        }
        if self.git.knows_v2:
            environment["HTTP_GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        return environment


@dataclass(frozen=True)
class Certificate:
    """One that was made for a test: `file` has it with its key, `public` it alone."""

    file: Path
    public: Path


def make_certificate(folder: Path, *names: str) -> Certificate:
    """A certificate for `names`, host names or addresses, that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([_name(each) for each in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = Certificate(folder / "server.pem", folder / "ca.pem")
    certificate.file.write_bytes(public + private)
    certificate.public.write_bytes(public)
    return certificate


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
