"""What the portal's own JavaScript modules import."""

import posixpath
import re
from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders

_OWN = "js/"
_IMPORT = re.compile(r'^import\s(?:[^"]*?\sfrom\s)?\s*"(\.{1,2}/[^"]+)";', re.MULTILINE)


def imports_of(name: str) -> list[str]:
    """All modules that have to be there before the module `name` runs, as their names
    among the static files; those that it names itself come first."""
    found: dict[str, None] = {}
    waiting = [name]
    for module in waiting:
        for imported in _named_in(module):
            if imported not in found:
                found[imported] = None
                waiting.append(imported)
    return list(found)


@cache
def _named_in(name: str) -> tuple[str, ...]:
    path = finders.find(name) if name.startswith(_OWN) else None
    if path is None:
        return ()
    source = Path(path).read_text(encoding="utf-8")
    folder = posixpath.dirname(name)
    return tuple(
        posixpath.normpath(f"{folder}/{target}") for target in _IMPORT.findall(source)
    )
