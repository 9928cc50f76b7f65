"""Sends the portal what grows in the folders of jobs, as it grows: `runner follow`.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import time
from typing import Any, BinaryIO, Dict, Optional

# The folder that Python was given is the first in its path.
from outputs import Outputs  # type: ignore[import-not-found]
from runner import (  # type: ignore[import-not-found]
    EVENTS,
    LOG,
    STREAMS,
    Job,
    cancel,
    child_lives,
    in_background,
    open_below,
    settle,
)

Json = Dict[str, Any]


class HungUp(Exception):
    """Nobody reads any more what is sent."""


class Follower:
    """Sends what grows in the watched jobs as frames on standard output."""

    # Seconds from one look to the next: so many for each job, since each look costs
    # something, within these limits.
    ROUND_OF_EACH = 0.001
    SHORTEST_ROUND, LONGEST_ROUND = 0.01, 0.05
    CHUNK = 1 << 18
    BEAT = 2.0

    def __init__(self, root: str) -> None:
        self.root = root
        self.watched: Dict[str, Watched] = {}
        self.commands = b""
        self.beat_due = 0.0
        # One piece of memory for all that is sent, which is the quickest.
        self.buffer = memoryview(bytearray(self.CHUNK))

    def run(self) -> None:
        os.set_blocking(0, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(1, 1031, 4 * self.CHUNK)  # F_SETPIPE_SZ, if it is a pipe
        while self._take_commands():
            if time.monotonic() >= self.beat_due:
                self.beat_due = time.monotonic() + self.BEAT
                self.send({"beat": time.time()})
            more = False
            for watched in list(self.watched.values()):
                more = self._look(watched) or more
            select.select([0], [], [], 0 if more else self._pause())

    def _look(self, watched: Watched) -> bool:
        """Look at a job; whatever is wrong with it, the others are looked at."""
        try:
            return watched.look()
        except HungUp:
            raise
        except OSError:
            # What can't be read now is looked at again.
            return False
        except Exception as error:
            self.forget(watched.name)
            watched.send({"dropped": repr(error)})
            return False

    def _pause(self) -> float:
        if not self.watched:
            return self.BEAT
        seconds = len(self.watched) * self.ROUND_OF_EACH
        return min(max(seconds, self.SHORTEST_ROUND), self.LONGEST_ROUND)

    def _take_commands(self) -> bool:
        """Carry out what has been asked; False once nobody asks any more."""
        try:
            data = os.read(0, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        lines = (self.commands + data).split(b"\n")
        self.commands = lines.pop()
        for line in lines:
            self._command(json.loads(line))
        return True

    def _command(self, command: Json) -> None:
        if "watch" in command:
            name = command["watch"]
            self.watched[name] = Watched(self, name, command)
        elif "forget" in command:
            self.watched.pop(command["forget"], None)
        elif "cancel" in command:
            self._cancel(command)

    def _cancel(self, command: Json) -> None:
        """In the background, since a full disk may keep it waiting."""
        job = Job(os.path.join(self.root, command["cancel"]))
        grace, reason = command.get("grace_seconds"), command.get("reason", "")
        in_background(job, lambda: cancel(job, grace, reason))

    def send(self, header: Json, payload: Optional[memoryview] = None) -> None:
        if payload is not None:
            header["size"] = len(payload)
        parts = [memoryview(json.dumps(header).encode() + b"\n")]
        if payload:
            parts.append(payload)
        try:
            while parts:
                sent = os.writev(1, parts)
                while parts and sent >= len(parts[0]):
                    sent -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][sent:]
        except OSError:
            raise HungUp from None

    def forget(self, name: str) -> None:
        self.watched.pop(name, None)


class Watched:
    """What of one job was sent."""

    SLOW = 0.25
    # After news in its events, a job is looked at closely for so many seconds.
    CLOSELY = 2.0

    def __init__(self, follower: Follower, name: str, command: Json) -> None:
        self.follower = follower
        self.name = name
        self.job = Job(os.path.join(follower.root, name))
        self.offsets = dict.fromkeys(STREAMS, 0)
        self.offsets.update(command.get("have", {}))
        self.outputs = Outputs(self, command.get("files", {}))
        self.slow_due = 0.0
        self.closely_until = 0.0
        self.last_word: Optional[Json] = None
        self.noted_orphan = False

    def send(self, header: Json, payload: Optional[memoryview] = None) -> None:
        self.follower.send(dict({"job": self.name}, **header), payload)

    def look(self) -> bool:
        """Send what grew; whether there is more of it at once."""
        now = time.monotonic()
        slow = now >= self.slow_due
        if slow:
            self.slow_due = now + self.SLOW
            self.job.unlock()
            if not self.job.exists():
                self.send({"missing": True})
                self.follower.forget(self.name)
                return False
            if self.last_word is None:
                self._check_supervisor()
        # Read before the files: once it is there, they are complete.
        if self.last_word is None and (slow or now < self.closely_until):
            self.last_word = self.job.last_word()
        ended = self.last_word
        more = False
        for name in STREAMS if slow or ended else (LOG, EVENTS):
            more = self._send_growth(name) or more
        if slow or ended or self.outputs.work:
            more = self.outputs.step(final=ended is not None) or more
        if ended is not None and not more:
            self.send({"final": True}, memoryview(json.dumps(ended).encode()))
            self.follower.forget(self.name)
        return more

    def _send_growth(self, name: str) -> bool:
        path, offset = self.job.path(name), self.offsets[name]
        try:
            if os.stat(path).st_size <= offset:
                return False
            descriptor = open_below(self.job.folder, name, os.O_RDONLY)
            with open(descriptor, "rb", buffering=0) as file:
                data = self.read(file, offset, Follower.CHUNK)
        except OSError:
            return False
        if not data:
            return False
        self.send({"file": name, "offset": offset}, data)
        self.offsets[name] += len(data)
        if name == EVENTS:
            self.closely_until = time.monotonic() + self.CLOSELY
        return len(data) == Follower.CHUNK

    def read(self, file: BinaryIO, offset: int, size: int) -> memoryview:
        """At most `size` bytes of a file, which are good until the next call."""
        buffer = self.follower.buffer[:size]
        return buffer[: os.preadv(file.fileno(), [buffer], offset)]

    def _check_supervisor(self) -> None:
        """See to a job whose supervisor is gone."""
        who = self.job.who()
        if self.job.is_supervised() or not self.job.exists("runner.json"):
            return
        if self.job.last_word() is not None:
            return
        with self.job.lock() as lock:
            if lock is None:
                return
            if not child_lives(who):
                # In the background, since what the script left takes its time to end.
                in_background(self.job, lambda: settle(self.job, None, "lost"))
            elif not self.noted_orphan:
                self.noted_orphan = True
                self.job.event("note", detail="The runner is gone; the script lives.")


def main(root: str) -> int:
    with contextlib.suppress(HungUp):
        Follower(root).run()
    return 0
