"""Reads keys of rows out of what browsers send, which may be anything."""

# A longer number is none that a database knows.
_MOST_DIGITS = 18


def key_in(text: str) -> int | None:
    """None for what can't be a key."""
    is_key = text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_key else None
