"""What others say, as a text that a page, a log and a database can bear."""

from typing import Any

_LONGEST = 500


def plain(text: Any, most: int = _LONGEST) -> str:
    """The beginning of a text, without what can't be printed. Raises TypeError."""
    if not isinstance(text, str):
        raise TypeError("it is no text")
    shown = text[:most]
    return "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in shown
    )
