"""Tells from what an installer has said why it failed.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import re
from typing import List

_SAID = re.compile(r"^\s*(?:error:|cause:|\xd7|├─▶|╰─▶|ERROR:)\s*(.+)$")
# uv begins so what goes on from the line before.
_WRAPPED = " " * 9
# What is true of each package whose own build fails.
_OF_ANY = re.compile(r"^(?:The build backend returned an error$|Call to `.+` failed )")
# Before what such a build has printed.
_PRINTED = "[stderr]"
# The last line of a traceback, as of a package whose own build fails.
_CAUSE = re.compile(r"^[A-Za-z_.]*(?:Error|Exception)\b")
_LONGEST = 600
# Nobody reads more of them, and a build may print for days.
_MOST = 20


class Reason:
    """Hears each line that uv, pip or another program says, and keeps what matters."""

    def __init__(self) -> None:
        self._said: List[str] = []
        self._last = self._cause = self._first = ""
        self._goes_on = self._is_first = False

    def hear(self, line: str) -> None:
        words = line.strip()
        match = _SAID.match(line)
        is_more = self._goes_on and line.startswith(_WRAPPED)
        self._hear_first(words)
        if match and len(self._said) < _MOST:
            self._said.append(match.group(1).rstrip()[:_LONGEST])
        elif is_more:
            self._said[-1] = (self._said[-1] + " " + words)[:_LONGEST]
        elif words:
            self._last = words[:_LONGEST]
            self._cause = words if _CAUSE.match(words) else self._cause
        self._goes_on = bool(match) or is_more

    def __str__(self) -> str:
        """Why it failed; empty if nothing was said."""
        special = [each for each in self._said if not _OF_ANY.match(each)]
        cause = self._cause or (self._first if len(special) == 1 else "")
        special += [cause] if cause else []
        said = special if len(special) > 1 else self._said
        return "; ".join(said or special or [self._last])[:_LONGEST]

    def _hear_first(self, words: str) -> None:
        """The first paragraph that a package's own build prints may be all it says."""
        if words == _PRINTED or not words:
            self._is_first = bool(words)
        elif self._is_first:
            self._first = (self._first + " " + words).strip()[:_LONGEST]
