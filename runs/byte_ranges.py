"""Which bytes of a file a request asks for."""

import re
from dataclasses import dataclass

from django.http import HttpRequest

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The bytes from `start` up to and without `stop`."""

    start: int
    stop: int
    is_partial: bool

    def headers(self, size: int) -> dict[str, str]:
        """What an answer with this part of `size` bytes says about it."""
        said = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(self.stop - self.start),
        }
        if self.is_partial:
            said["Content-Range"] = f"bytes {self.start}-{self.stop - 1}/{size}"
        return said


def asked_part(request: HttpRequest, size: int) -> Part | None:
    """What the request wants of `size` bytes; None if it lies beyond them.

    A header that is not understood counts as none, as the HTTP standard wants it.
    """
    whole = Part(start=0, stop=size, is_partial=False)
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if not match or not any(match.groups()) or "If-Range" in request.headers:
        return whole
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), int(last) + 1 if last else size
        if last and stop <= start:
            return whole
    if start >= size:
        return None
    return Part(start=start, stop=min(stop, size), is_partial=True)
