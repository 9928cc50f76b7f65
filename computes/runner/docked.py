"""Runs a script in a container of a Docker engine that does not see the job folder.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
To the runner this is the script of a job: it copies the working folder in, prints what
the container prints, copies `outputs` and `logs` back, and ends with its exit code. A
signal to end reaches the container.

Variables that are secrets come on its standard input, and go to that of the container,
where masking.py runs the script: the engine tells everybody the variables that it was
told, and keeps what a container prints.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tarfile
import tempfile
import time
from typing import IO, Any, Dict, Iterator, Optional
from urllib.parse import quote

import masking  # type: ignore[import-not-found]

Json = Dict[str, Any]

_BLOCK = 1 << 18
# Bytes of an answer: no engine has more to say.
_MOST = 1 << 24
_NOT_FOUND = 404
_BACK = ("outputs", "logs")
# An engine that is restarted is waited for so long.
_PATIENCE = 120.0
_NOT_STARTED = 125


class Refused(Exception):
    """What the engine says, for a person."""


def main(folder: str) -> int:
    with open(os.path.join(folder, "job.json"), "rb") as file:
        known = json.load(file)["docker"]
    container = Container(known, sys.stdin.buffer.read())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: container.end())
    try:
        container.start(os.path.join(folder, "work"))
        container.print_log()
        code = container.wait()
        container.copy_back(folder)
    except (Refused, OSError, http.client.HTTPException) as error:
        sys.stderr.write("Docker: %s\n" % error)
        return _NOT_STARTED
    return code


class Container:
    """One of the engine, by its name."""

    def __init__(self, known: Json, secrets: bytes) -> None:
        self._known = known
        self._secrets = secrets
        self._path = "/containers/" + quote(known["name"])
        self._printed = 0
        self._is_unwanted = False

    def start(self, work: str) -> None:
        body = json.dumps(self._known["body"]).encode()
        self._ask("POST", "/containers/create?name=" + quote(self._known["name"]), body)
        self._copy_in(work)
        if self._is_unwanted:
            raise Refused("It was canceled before the container was started.")
        with self._giving():
            self._ask("POST", self._path + "/start")

    @contextlib.contextmanager
    def _giving(self) -> Iterator[None]:
        """Have what starts meanwhile read the secrets from its standard input."""
        if not self._secrets:
            yield
            return
        connection = _Connection(self._known["socket"])
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        path = self._path + "/attach?stream=1&stdin=1"
        with contextlib.closing(connection):
            connection.request("POST", path, headers=upgrade)
            with contextlib.closing(_whole(connection.getresponse())):
                yield
                connection.sock.sendall(self._secrets)
                connection.sock.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """Have it end; a script that does not is ended by force, by who asks for it."""
        self._is_unwanted = True
        with contextlib.suppress(Refused, OSError, http.client.HTTPException):
            self._ask("POST", self._path + "/kill?signal=SIGTERM")

    def print_log(self) -> None:
        """Print all that it prints, until it ends, and nothing twice."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            before = self._printed
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._print_rest():
                    return
            if self._printed > before:
                deadline = time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise Refused("The connection to the engine broke.")
            time.sleep(0.5)

    def wait(self) -> int:
        said = json.loads(self._ask("POST", self._path + "/wait"))
        return int(said["StatusCode"])

    def copy_back(self, folder: str) -> None:
        for name in _BACK:
            fresh = tempfile.mkdtemp(prefix="docked-", dir=folder)
            path = quote(self._known["work"] + "/" + name)
            answer = self._open("GET", self._path + "/archive?path=" + path)
            if answer.status != _NOT_FOUND:
                _unpack(_whole(answer), fresh)
                _put(os.path.join(fresh, name), os.path.join(folder, "work", name))
            answer.close()
            shutil.rmtree(fresh)

    def _print_rest(self) -> bool:
        """Print what was not printed yet; whether that is all there will ever be."""
        # The engine keeps all of it: what was printed before is passed over.
        skip = self._printed
        ways = "/logs?follow=1&stdout=1&stderr=1"
        with contextlib.closing(self._open("GET", self._path + ways)) as answer:
            _whole(answer)
            # Each piece has a head of 8 bytes, the last four of which are its size.
            while True:
                head = answer.read(8)
                if len(head) < 8:
                    break
                for data in _blocks(answer, int.from_bytes(head[4:], "big")):
                    _write(data[skip:])
                    self._printed += len(data[skip:])
                    skip = max(skip - len(data), 0)
        state = json.loads(self._ask("GET", self._path + "/json"))["State"]
        return not state["Running"]

    def _copy_in(self, work: str) -> None:
        user, group = self._known["user"]

        def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
            entry.uid, entry.gid, entry.uname, entry.gname = user, group, "", ""
            return entry

        with tempfile.TemporaryFile(dir=os.path.dirname(work)) as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.add(work, self._known["work"].lstrip("/"), filter=owned)
                if self._secrets:
                    name = self._known["masking"].lstrip("/")
                    archive.add(masking.__file__, name, filter=owned)
            size = packed.tell()
            packed.seek(0)
            self._ask("PUT", self._path + "/archive?path=/", packed, size)

    def _ask(
        self, verb: str, path: str, body: Any = None, size: Optional[int] = None
    ) -> bytes:
        with contextlib.closing(self._open(verb, path, body, size)) as answer:
            return _whole(answer).read(_MOST)

    def _open(
        self, verb: str, path: str, body: Any = None, size: Optional[int] = None
    ) -> http.client.HTTPResponse:
        connection = _Connection(self._known["socket"])
        kind = "application/x-tar" if size is not None else "application/json"
        headers = {"Content-Type": kind, "Connection": "close"}
        if size is not None:
            headers["Content-Length"] = str(size)
        connection.request(verb, path, body, headers)
        return connection.getresponse()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def _whole(answer: http.client.HTTPResponse) -> http.client.HTTPResponse:
    """The answer, if it is none of an error. Raises Refused."""
    if answer.status < http.HTTPStatus.BAD_REQUEST:
        return answer
    said = answer.read(_BLOCK)
    try:
        words = str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        words = said.decode(errors="replace")
    raise Refused(words)


def _blocks(answer: http.client.HTTPResponse, size: int) -> Iterator[bytes]:
    """The next `size` bytes, or all that there is."""
    while size:
        data = answer.read(min(size, _BLOCK))
        if not data:
            return
        size -= len(data)
        yield data


def _unpack(packed: IO[bytes], folder: str) -> None:
    """Write the plain files of an archive that a script has made, in `folder` alone."""
    with tarfile.open(fileobj=packed, mode="r|") as archive:
        for entry in archive:
            names = entry.name.split("/")
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is None or ".." in names or entry.name.startswith("/"):
                continue
            path = os.path.join(folder, *names)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                shutil.copyfileobj(content, file, _BLOCK)


def _put(fresh: str, path: str) -> None:
    """Put a folder in the place of what is there, which may be a link to elsewhere."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)
    if os.path.isdir(fresh):
        os.rename(fresh, path)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
