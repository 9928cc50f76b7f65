"""Brings the runner to another machine and starts it there, over one channel.

The login shell of the account may be any, and may print what it likes: it is given one
line, which has Python read its program from the channel. That program is
computes/runner/boot.py, which then becomes the runner.
"""

import base64
import hashlib
import json
import secrets
import shlex
from contextlib import suppress

from aml_portal.errors import TargetError
from computes.hosts.base import TargetAwayError
from computes.hosts.plain import plain
from computes.hosts.questions import Channel
from computes.runner import BOOT, SHIPPED

_LINE = 'import ast;f=open(0,"rb",0);exec(ast.literal_eval(f.readline().decode()))'
# What a login shell may print before the program has its say.
_MOST_NOISE = 64 * 1024
_BLOCK = 16 * 1024
_SECONDS = 30.0


def command(python: str) -> str:
    """The line for the login shell of any account: sh, fish and csh read it alike."""
    return f"exec {shlex.quote(python)} -I -S -c {shlex.quote(_LINE)}"


def become_runner(channel: Channel, *, verb: str, root: str, name: str) -> None:
    """Have the runner started as `verb` in `root`, for example `~/.aml-portal`.

    Raises TargetError with what is wrong on the host.
    """
    mark = secrets.token_hex(16)
    files = {path.name: path.read_text(encoding="utf-8") for path in SHIPPED}
    version = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
    asked = {"mark": mark, "verb": verb, "root": root, "version": version}
    given = f"import sys\nsys.argv = {['boot', json.dumps(asked)]!r}\n"
    program = given + BOOT.read_text(encoding="utf-8")
    reader = _Reader(channel, mark, name)
    try:
        said = reader.ask(ascii(program).encode() + b"\n")
        if "wanted" in said:
            said = reader.ask(base64.b64encode(json.dumps(files).encode()) + b"\n")
    except (OSError, ValueError) as error:
        raise TargetAwayError(f"{name} did not answer ({error}).") from error
    if "error" in said:
        advice = plain(str(said.get("advice", "")))
        raise TargetError(f"{name}: {plain(str(said['error']))}", advice)


class _Reader:
    """Finds the program's lines, which begin with the mark, in what else is said."""

    def __init__(self, channel: Channel, mark: str, name: str) -> None:
        self._channel = channel
        self._mark = mark.encode()
        self._name = name
        # What was said that is no answer.
        self._noise = b""
        self._rest = b""

    def ask(self, question: bytes) -> dict[str, str]:
        """The answer. Raises TargetError where something else is said, and OSError."""
        try:
            self._channel.send(question)
        except OSError:
            # A shell that lets nobody in may be gone already, and has said why.
            if said := self._left():
                raise self._refused(said) from None
            raise
        return self._answer()

    def _left(self) -> bytes:
        said = b""
        with suppress(OSError):
            while len(said) < _MOST_NOISE and (data := self._receive()):
                said += data
        return said + self._channel.complaints()

    def _receive(self) -> bytes:
        return self._channel.receive(_BLOCK, timeout=_SECONDS)

    def _answer(self) -> dict[str, str]:
        while True:
            line = self._line()
            _, mark, answer = line.partition(self._mark)
            if mark:
                # What follows the last answer belongs to the runner.
                self._channel.unread(self._rest)
                self._rest = b""
                said = json.loads(answer)
                if not isinstance(said, dict):
                    raise ValueError("it says something else")
                return said
            self._noise += line + b"\n"

    def _line(self) -> bytes:
        line, newline, rest = self._rest.partition(b"\n")
        while not newline:
            data = self._receive()
            if not data or len(self._noise) + len(line) > _MOST_NOISE:
                raise self._refused(self._noise + line)
            more, newline, rest = data.partition(b"\n")
            line += more
        self._rest = rest
        return line

    def _refused(self, noise: bytes) -> TargetError:
        noise += self._channel.complaints()
        said = " ".join(noise.decode(errors="replace").split())
        words = plain(said[-300:].rstrip("."))
        return TargetError(
            f"{self._name} starts no Python: {words or 'it gave no reason'}.",
            "Check the account's login shell, and the path of Python 3.8 or newer.",
        )
