"""Answers a portal that is elsewhere, over its own standard input and output.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
One process answers any number of questions, so that none of them pays for a sign-in, a
login shell and the start of Python. A question is a line of JSON,

    {"verb": "start", "job": "digits_1", "size": 0, …}

and then `size` bytes; an answer is a line with `answer`, or `error` in words. They
follow one another; a question that came too late or in part is not carried out.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import sys
from typing import IO, Any, Callable, Dict, List, cast

# The folder that Python was given is the first in its path.
import commands  # type: ignore[import-not-found]
import environment  # type: ignore[import-not-found]
import facts  # type: ignore[import-not-found]
import gpus  # type: ignore[import-not-found]
import runner  # type: ignore[import-not-found]
import staging  # type: ignore[import-not-found]

Json = Dict[str, Any]

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Server:
    """`root` holds `jobs/`, a folder for each job, and `objects/`."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._jobs = os.path.join(root, "jobs")
        self._objects = staging.Objects(os.path.join(root, "objects"))
        self._verbs: Dict[str, Callable[[Json, Body], Any]] = {
            "start": lambda asked, _: runner.start(self._job(asked)),
            "secrets": self._give_secrets,
            "state": lambda asked, _: runner.state(self._job(asked)),
            "clean": lambda asked, _: runner.clean(self._job(asked)),
            "cancel": lambda asked, _: self._end(runner.cancel, asked),
            "prevent": self._prevent,
            "living": lambda *_: runner.living(runner.Job(self._jobs)),
            "end_living": lambda asked, _: self._end(runner.end_living, asked),
            "lacking": self._lacking,
            "receive": self._receive,
            "stage": self._stage,
            "lay_out": self._lay_out,
            "environments": lambda *_: environment.answer(self._jobs),
            "remove_environment": lambda asked, _: environment.answer(
                self._jobs, remove=asked["key"]
            ),
            "log": self._write_log,
            "event": self._write_event,
            "place": self._place,
            "run": self._run,
            "facts": lambda *_: facts.facts(self._root, gpus.look()),
            "gpus": lambda *_: gpus.look(),
            "sweep": lambda asked, _: self._objects.sweep(asked["age"]),
        }

    def serve(self, questions: IO[bytes], answers: IO[bytes]) -> None:
        """Answer until nobody asks any more."""
        for line in iter(questions.readline, b""):
            asked = json.loads(line)
            body = Body(questions, asked.get("size", 0))
            said = json.dumps(self._answer(asked, body)).encode() + b"\n"
            # What was not read would be taken for the next question.
            body.skip()
            answers.write(said)
            answers.flush()

    def _answer(self, asked: Json, body: Body) -> Json:
        try:
            return {"answer": self._verbs[asked["verb"]](asked, body)}
        except staging.Lacking as error:
            return {"lacking": str(error)}
        except (runner.Refused, staging.Spoilt, commands.Failed) as error:
            return {"error": str(error)}
        except OSError as error:
            if error.errno in _FULL:
                return {"error": "Its disk is full.", "is_full": True}
            return {"error": str(error)}

    def _job(self, asked: Json) -> Any:
        return runner.Job(os.path.join(self._jobs, asked["job"]))

    def _end(self, end: Callable[[Any, Any, str], Json], asked: Json) -> Json:
        return end(self._job(asked), asked["grace_seconds"], asked["reason"])

    def _give_secrets(self, asked: Json, body: Body) -> Json:
        given: Json = runner.give_secrets(self._job(asked), json.loads(body.read()))
        return given

    def _prevent(self, asked: Json, _: Body) -> Json:
        said: Json = runner.prevent(self._job(asked), asked["word"], asked["reason"])
        return said

    def _lacking(self, _: Json, body: Body) -> List[str]:
        wanted = [(sha256, size) for sha256, size in json.loads(body.read())]
        found: List[str] = self._objects.lacking(wanted)
        return found

    def _receive(self, _: Json, body: Body) -> Json:
        return {"kept": self._objects.receive(cast("IO[bytes]", body))}

    def _stage(self, asked: Json, body: Body) -> Json:
        folder = os.path.join(self._jobs, asked["job"])
        staging.stage(folder, asked["spec"], json.loads(body.read()), self._objects)
        return {}

    def _lay_out(self, asked: Json, body: Body) -> str:
        folder = os.path.join(self._root, "tools", asked["name"])
        self._objects.lay_out(json.loads(body.read()), folder)
        return folder

    def _write_log(self, asked: Json, body: Body) -> Json:
        commands.write_log(self._job(asked).folder, body.read())
        return {}

    def _write_event(self, asked: Json, _: Body) -> Json:
        folder = self._job(asked).folder
        commands.write_event(folder, asked["event"], asked["facts"])
        return {}

    def _place(self, asked: Json, _: Body) -> Json:
        return {
            "folder": self._job(asked).folder,
            "runner": os.path.dirname(os.path.abspath(__file__)),
            "python": sys.executable,
            "user": os.getuid(),
            "group": os.getgid(),
        }

    def _run(self, asked: Json, body: Body) -> Json:
        given, seconds = body.read(), asked["limit"]
        code, out, err = commands.run(asked["command"], given, seconds=seconds)
        said = {"out": out, "err": err}
        encoded = {name: base64.b64encode(said[name]).decode() for name in said}
        return dict(encoded, code=code)


class Body:
    """The next `size` bytes of a stream, as a stream that ends."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted) if wanted else b""
        if len(data) < wanted:
            raise EOFError("The portal hung up.")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        while self._left:
            self.read(1 << 20)


def main(root: str) -> int:
    # Whatever is printed by mistake is no answer. They stay on the usual descriptor,
    # which a job's supervisor leaves behind; else it would keep the session open.
    answers = os.fdopen(1, "wb", closefd=False)
    sys.stdout = sys.stderr
    with contextlib.suppress(EOFError, BrokenPipeError):
        Server(root).serve(sys.stdin.buffer, answers)
    return 0
