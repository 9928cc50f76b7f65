"""Reads a real `runner follow`, and keeps what it sends."""

import json
import os
import select
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from computes.frames import Frame, FrameReader
from tests.computes.jobs import RUNNER_COMMAND, JobFolder

LOG = "logs/std_log.txt"
# Reads as everybody else must, even where the tests run as root.
DROP_PRIVILEGES = """
import ctypes, os, sys
for capability in (1, 2, 3):  # those that pass over the modes of files
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
UNPRIVILEGED = [sys.executable, "-c", DROP_PRIVILEGES]


class Following:
    """A follower of all jobs of a folder.

    `files` are the bytes of growing files, `outputs` the versions of output files that
    are whole, `headers` all that was sent but for the beats.
    """

    def __init__(self, root: Path, *, prefix: list[str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*(prefix or []), *RUNNER_COMMAND, "follow", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self.process.stdin
        assert self.process.stdout
        self._in, self._out = self.process.stdin, self.process.stdout
        self.reader = FrameReader()
        self.files: dict[tuple[str, str], bytearray] = defaultdict(bytearray)
        self.outputs: dict[tuple[str, str], bytes] = {}
        self.left_out: dict[tuple[str, str], str] = {}
        self.finals: dict[str, dict[str, Any]] = {}
        self.headers: list[dict[str, Any]] = []
        self.beats = 0
        self._begun: dict[tuple[str, str], int] = {}
        self._pieces: dict[tuple[str, str], bytearray] = {}

    def tell(self, **command: Any) -> None:
        self.tell_bytes(json.dumps(command).encode() + b"\n")

    def tell_bytes(self, data: bytes) -> None:
        self._in.write(data)

    def watch(
        self,
        job: JobFolder,
        have: dict[str, int] | None = None,
        files: dict[str, list[int]] | None = None,
    ) -> None:
        for name, offset in (have or {}).items():
            self._begun[job.path.name, name] = offset
        self.tell(watch=job.path.name, have=have or {}, files=files or {})

    def until(self, look: Callable[[], object], what: str, timeout: float = 30) -> None:
        """Take what arrives until `look` is true."""
        deadline = time.monotonic() + timeout
        while not look():
            assert time.monotonic() < deadline, f"Not within {timeout:g} s: {what}"
            if select.select([self._out], [], [], 0.02)[0]:
                data = os.read(self._out.fileno(), 1 << 20)
                assert data, "The follower ended."
                for frame in self.reader.feed(data):
                    self._take(frame)

    def final(self, job: JobFolder, timeout: float = 30) -> dict[str, Any]:
        name = job.path.name
        self.until(lambda: name in self.finals, f"{name} has ended", timeout)
        return self.finals[name]

    def bytes_of(self, job: JobFolder, name: str = LOG) -> bytes:
        return bytes(self.files[job.path.name, name])

    def outputs_of(self, job: JobFolder) -> dict[str, bytes]:
        found = self.outputs.items()
        return {name: data for (of, name), data in found if of == job.path.name}

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self._in.close()
        self._out.close()
        self.process.wait(timeout=30)

    def _take(self, frame: Frame) -> None:
        header = frame.header
        if "beat" in header:
            self.beats += 1
            return
        self.headers.append(header)
        job = header["job"]
        assert job not in self.finals, "The final frame was not the last."
        if "file" in header:
            self._take_growth((job, header["file"]), frame)
        elif "output" in header:
            self._take_piece((job, header["output"]), frame)
        elif "final" in header:
            self.finals[job] = json.loads(frame.payload)
        for name in header.get("removed", ()):
            del self.outputs[job, name]

    def _take_growth(self, key: tuple[str, str], frame: Frame) -> None:
        kept = self.files[key]
        expected = self._begun.get(key, 0) + len(kept)
        assert frame.header["offset"] == expected, "Bytes are missing, or came twice."
        kept += frame.payload

    def _take_piece(self, key: tuple[str, str], frame: Frame) -> None:
        header = frame.header
        if "left_out" in header:
            self.left_out[key] = header["left_out"]
            return
        if header.get("torn"):
            self._pieces.pop(key, None)
            return
        pieces = self._pieces.setdefault(key, bytearray())
        assert header["offset"] == len(pieces)
        pieces += frame.payload
        if header["last"]:
            assert len(pieces) == header["total"]
            self.outputs[key] = bytes(self._pieces.pop(key))
