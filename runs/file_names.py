r"""Names of files that scripts and people chose, shown and sent without harm.

A name can be any bytes but a slash and NUL: line breaks, marks that reverse the
direction of text, bytes that are no UTF-8. In Python such bytes are surrogate escapes,
which neither a page nor a header can carry.
"""

import os
from urllib.parse import parse_qs, quote

from django.http import HttpRequest


def printable(name: str) -> str:
    r"""The name for a page, a header or a download; "\n" where a line would break."""
    return "".join(char if char.isprintable() else _escape(char) for char in name)


def in_query(name: str) -> str:
    """The name as part of a query string, byte for byte."""
    return quote(os.fsencode(name))


def name_in(request: HttpRequest, key: str = "name") -> str:
    """The name that the address holds; "" if none. Django would lose its odd bytes."""
    address: str = request.META["QUERY_STRING"]
    return parse_qs(address, errors="surrogateescape").get(key, [""])[0]


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
