"""An engine that may be anybody's: what it answers can't fill the portal's memory."""

import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from computes.hosts import TargetAwayError
from computes.hosts.local import LocalHost
from computes.launchers.docker.engine import asking
from computes.launchers.docker.images import pull
from computes.launchers.docker.settings import DockerSettings
from computes.runner.reasons import Reason

Say = Callable[[socket.socket], None]
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def engine(folder: Path, say: Say) -> Iterator[Path]:
    """One that says its version, and to all else what a test has it say."""
    path = folder / "engine.sock"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(
                        target=_answer, args=(listener.accept()[0], say), daemon=True
                    ).start()

        threading.Thread(target=serve, daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def _answer(connection: socket.socket, say: Say) -> None:
    with connection, suppress(OSError):
        while asked := connection.recv(65536):
            if b"/version" not in asked.split(b"\r\n")[0]:
                say(connection)
                return
            body = json.dumps({"ApiVersion": "1.41"}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)


def _endless(connection: socket.socket, piece: bytes) -> None:
    connection.sendall(_CHUNKED)
    while True:
        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


def a_list_without_end(connection: socket.socket) -> None:
    _endless(connection, b'{"Id": "one"},' * 5000)


def a_message_without_end(connection: socket.socket) -> None:
    _endless(connection, b'{"status": "' + b"x" * 60_000)


def one_huge_piece(connection: socket.socket) -> None:
    connection.sendall(_CHUNKED + b"%x\r\n" % (1 << 40))
    while True:
        connection.sendall(b"x" * 65536)


def what_is_no_message(connection: socket.socket) -> None:
    _endless(connection, b"[" * 1000 + b"\n")


@pytest.mark.parametrize("say", [a_list_without_end, one_huge_piece])
def test_an_answer_without_end_is_broken_off(tmp_path: Path, say: Say) -> None:
    with (
        engine(tmp_path, say) as path,
        pytest.raises(TargetAwayError, match="its answer is too large"),
        asking(LocalHost(tmp_path / "jobs"), str(path)) as client,
    ):
        client.containers()


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (a_message_without_end, "too much at once"),
        (one_huge_piece, "too much at once"),
        (what_is_no_message, "no message"),
    ],
)
def test_a_pull_without_end_is_broken_off(tmp_path: Path, say: Say, words: str) -> None:
    with (
        engine(tmp_path, say) as path,
        pytest.raises(TargetAwayError, match=words),
        asking(LocalHost(tmp_path / "jobs"), str(path)) as client,
    ):
        pull(client, "busybox", DockerSettings(), lambda _: None)


def test_what_is_kept_of_the_words_of_a_build_is_bounded() -> None:
    reason = Reason()
    for _ in range(1000):
        reason.hear("error: " + "x" * 5000)
        reason.hear(" " * 9 + "and more " * 1000)
    assert len(pickle.dumps(reason)) < 50_000
    assert str(reason).startswith("xxx")


def test_what_a_build_prints_first_tells_why_if_nothing_else_does() -> None:
    reason = Reason()
    for line in (
        "error: Failed to build `sklearn==0.0`",
        "  cause: The build backend returned an error",
        "  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)",
        "",
        "         [stderr]",
        "         The 'sklearn' package is deprecated,",
        "         use 'scikit-learn'.",
        "",
        "         More is told elsewhere.",
    ):
        reason.hear(line)
    assert str(reason) == (
        "Failed to build `sklearn==0.0`;"
        " The 'sklearn' package is deprecated, use 'scikit-learn'."
    )
