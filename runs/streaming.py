"""Sends files and archives piece by piece from ASGI.

Django reads an iterator that is not asynchronous wholly into memory there.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from runs.byte_ranges import Part, asked_part
from runs.file_names import printable

_PIECE = 1024 * 1024


def send_file(
    request: HttpRequest, file: BinaryIO, *, name: str, content_type: str = ""
) -> HttpResponseBase:
    """An open file, or the part asked for: to keep, or shown where it has a type.

    Only a type that is known to be harmless may be given: files are what people and
    scripts made them.
    """
    size = os.fstat(file.fileno()).st_size
    part = asked_part(request, size)
    if part is None:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = StreamingHttpResponse(
        FilePieces(file, part),
        status=206 if part.is_partial else 200,
        content_type=content_type or "application/octet-stream",
        headers=part.headers(size),
    )
    return _guarded(response, name, is_download=not content_type)


def send_zip(pieces: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """An archive that is made while it is sent."""
    response = StreamingHttpResponse(_in_thread(pieces), content_type="application/zip")
    return _guarded(response, name, is_download=True)


class FilePieces:
    """A part of an open file; closed with the response, sent or not."""

    def __init__(self, file: BinaryIO, part: Part) -> None:
        self._file = file
        self._part = part
        self.close = file.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        position = self._part.start
        while position < self._part.stop:
            length = min(_PIECE, self._part.stop - position)
            piece = await asyncio.to_thread(
                os.pread, self._file.fileno(), length, position
            )
            if not piece:
                raise OSError("A file became shorter while it was sent.")
            yield piece
            position += len(piece)


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        if piece:
            yield piece


def _guarded(
    response: StreamingHttpResponse, name: str, *, is_download: bool
) -> StreamingHttpResponse:
    disposition = content_disposition_header(is_download, printable(name))
    if disposition:
        response.headers["Content-Disposition"] = disposition
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
