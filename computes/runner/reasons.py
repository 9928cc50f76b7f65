"""Tells from what an installer has said why it failed.

Shipped to compute targets beside runner.py: standard library only, Python 3.8 or newer.
"""

from __future__ import annotations

import re
from typing import List

_SAID = re.compile(r"^\s*(?:error:|cause:|\xd7|├─▶|╰─▶|ERROR:)\s*(.+)$")
# uv begins so what goes on from the line before.
_WRAPPED = " " * 9
# The last line of a traceback, as of a package whose own build fails.
_CAUSE = re.compile(r"^[A-Za-z_.]*(?:Error|Exception)\b")
_LONGEST = 600
# Nobody reads more of them, and a build may print for days.
_MOST = 20


class Reason:
    """Hears each line that uv, pip or another program says, and keeps what matters."""

    def __init__(self) -> None:
        self._said: List[str] = []
        self._last = self._cause = ""
        self._goes_on = False

    def hear(self, line: str) -> None:
        words = line.strip()
        match = _SAID.match(line)
        is_more = self._goes_on and line.startswith(_WRAPPED)
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
        said = self._said + ([self._cause] if self._cause else [])
        return "; ".join(said or [self._last])[:_LONGEST]
