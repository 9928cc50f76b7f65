"""The Docker engine behind a Unix socket of a host, reached as the host is."""

import errno
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests
import urllib3
from docker.auth import AuthConfig
from docker.errors import APIError, DockerException
from docker.transport.basehttpadapter import BaseHTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from aml_portal.errors import TargetError
from computes.hosts import Host, TargetAwayError, plain
from computes.launchers.docker.containers import API_VERSION

_SECONDS = 60
# Bytes of an answer, and of a message of one that goes on; an engine may be anybody's.
_LARGEST, _LONGEST = 64 << 20, 1 << 20
_BLOCK = 1 << 16
# Of as many engines a process keeps the connection.
_MOST_KEPT = 32

_lock = threading.Lock()
_kept: dict[tuple[str, str, int], docker.APIClient] = {}


@contextmanager
def asking(host: Host, path: str) -> Iterator[docker.APIClient]:
    """A client of the engine at the socket `path` of the host.

    What it raises in the block becomes a TargetError, TargetAwayError where the engine
    can't be asked; but an APIError is for who asks, unless he lets it pass.
    """
    try:
        yield _client(host, path)
    except APIError as error:
        raise TargetError(f"The Docker engine refuses: {words_of(error)}.") from error
    except (DockerException, requests.RequestException) as error:
        raise _why_away(error, path) from error


@contextmanager
def asking_alone(
    host: Host, path: str, registries: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[docker.APIClient, Callable[[], None]]]:
    """As `asking`, with connections of its own, and what breaks them off at any time.

    `registries` are the sign-ins that the engine may use for what is asked.
    """
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        opened.append(host.connect(path))
        return opened[-1]

    def break_off() -> None:
        for each in opened:
            # One that is closed already can't be shut down.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    with asking(host, path) as known:
        client = _connected(_Adapter(connect), known.api_version)
        # Else those of the portal's account would be told.
        client._auth_configs = AuthConfig({"auths": dict(registries)})  # type: ignore[attr-defined]
        try:
            yield client, break_off
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _why_away(error, path) from error
        finally:
            client.close()


def words_of(error: APIError) -> str:
    """What the engine said, without the address that was asked."""
    words = " ".join((error.explanation or "").split())
    return plain(words.rstrip(".")) or "it gives no reason"


def _client(host: Host, path: str) -> docker.APIClient:
    # Not shared with a process that was forked off: both would use one connection.
    key = (host.key, path, os.getpid())
    with _lock:
        client = _kept.get(key)
    if client is not None:
        return client
    adapter = _Adapter(lambda: host.connect(path))
    first = _connected(adapter, API_VERSION)
    client = _connected(adapter, first.version(api_version=False)["ApiVersion"])
    with _lock:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        return _kept.setdefault(key, client)


def _connected(adapter: "_Adapter", version: str) -> docker.APIClient:
    # The path is not used: what is mounted here opens the connections.
    client = _Client("unix:///socket", version=version, timeout=_SECONDS)
    client.mount("http+docker://", adapter)
    # Neither a proxy nor a .netrc of the portal's account is meant for it.
    client.trust_env = False
    return client


class _Client(docker.APIClient):
    def _stream_helper(
        self, response: requests.Response, **_: Any
    ) -> Iterator[dict[str, Any]]:
        """As the library's own, which takes messages and pieces of any size."""
        self._raise_for_status(response)  # type: ignore[attr-defined]
        return _messages(response.iter_content(_BLOCK))


def _messages(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The messages of a pull or a build, one a line."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST:
            raise DockerException("it says too much at once")
        yield from (_message(line) for line in lines if line.strip())
    if rest.strip():
        yield _message(rest)


def _message(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise DockerException("what it says is no message")
    return said


class _Adapter(BaseHTTPAdapter):
    """Has the requests of a client travel over sockets that `connect` opens."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        # One is kept, since a session of an SSH connection is something rare.
        self._pool = _Pool("localhost", maxsize=1, opened=connect)
        super().__init__()

    def get_connection(self, url: Any, proxies: Any = None) -> HTTPConnectionPool:
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        return str(request.path_url)

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, *, stream: bool, **options: Any
    ) -> requests.Response:
        answer = super().send(request, stream=True, **options)
        if not stream:
            # Else the library would read it whole, however large it is.
            answer._content = _bounded(answer)
        return answer

    def close(self) -> None:
        self._pool.close()


def _bounded(answer: requests.Response) -> bytes:
    content = bytearray()
    for piece in answer.iter_content(_BLOCK):
        content += piece
        if len(content) > _LARGEST:
            answer.close()
            raise DockerException("its answer is too large")
    return bytes(content)


class _Connection(HTTPConnection):
    def __init__(
        self, *args: Any, opened: Callable[[], socket.socket], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._opened = opened

    def connect(self) -> None:
        self.sock = self._opened()
        self.sock.settimeout(_SECONDS)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


def _why_away(error: Exception, path: str) -> TargetError:
    match _cause(error):
        case OSError(errno=errno.EACCES | errno.EPERM):
            return TargetError(
                f"The account may not use the Docker engine at {path}.",
                "Add the account to the group docker there.",
            )
        case OSError(errno=errno.ENOENT | errno.ENOTDIR):
            return TargetAwayError(
                f"There is no Docker engine at {path}.",
                "Start it there, or give the path of its socket.",
            )
        case OSError(errno=errno.ECONNREFUSED):
            return TargetAwayError(
                f"The Docker engine at {path} does not run.", "Start it there."
            )
    return TargetAwayError(f"The Docker engine at {path} did not answer ({error}).")


def _cause(error: BaseException) -> BaseException:
    """The error of the socket, which is below those of the libraries."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen
        seen = seen.__cause__ or seen.__context__
    return error
