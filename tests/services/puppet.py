"""A run that prints what a test tells it, when the test tells it."""

from pathlib import Path

import httpx

from tests.services.portal import Portal
from tests.services.runs import submit

# Prints what the test puts into numbered files, and ends at an empty one.
_PUPPET = """
import os, pathlib, sys, time

folder, number = pathlib.Path(sys.argv[1]), 0
until = time.monotonic() + 300
while time.monotonic() < until:
    part = folder / str(number)
    if not part.exists():
        time.sleep(0.01)
        continue
    words = memoryview(part.read_bytes())
    if not words:
        break
    while words:
        words = words[os.write(1, words) :]
    number += 1
"""


class Puppet:
    """A run that prints what it is told to."""

    def __init__(self, portal: Portal, client: httpx.Client, folder: Path) -> None:
        self._folder = folder
        self._parts = 0
        self.said = b""
        self.run = submit(portal, client, script=_PUPPET, arguments=(str(folder),))

    def say(self, words: bytes | str) -> None:
        words = words.encode() if isinstance(words, str) else words
        self.said += words
        self._tell(words)

    def end(self) -> None:
        self._tell(b"")
        self.run.wait_for_end()

    def _tell(self, words: bytes) -> None:
        part = self._folder / "part"
        part.write_bytes(words)
        part.rename(self._folder / str(self._parts))
        self._parts += 1
