"""Whether the bytes of a file are text."""


def is_binary(head: bytes) -> bool:
    """By what a file begins with; a few bytes of another encoding are text still."""
    start = head[:8192]
    if b"\0" in start:
        return True
    lost = start.decode("utf-8", errors="replace").count("\ufffd")
    return lost > len(start) / 10 + 3
