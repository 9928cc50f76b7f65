"""Sends files and archives piece by piece from ASGI.

Django reads an iterator that is not asynchronous wholly into memory there.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from runs.file_names import printable

_PIECE = 1024 * 1024


def send_file(
    file: BinaryIO, *, name: str, content_type: str = ""
) -> StreamingHttpResponse:
    """The whole of an open file: for download, or shown where it has a type.

    Only a type that is known to be harmless may be given: files are what people and
    scripts made them.
    """
    response = StreamingHttpResponse(
        FilePieces(file), content_type=content_type or "application/octet-stream"
    )
    response.headers["Content-Length"] = str(os.fstat(file.fileno()).st_size)
    return _guarded(response, name, is_download=not content_type)


def send_zip(pieces: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """An archive that is made while it is sent."""
    response = StreamingHttpResponse(_in_thread(pieces), content_type="application/zip")
    return _guarded(response, name, is_download=True)


class FilePieces:
    """The bytes of an open file; closed with the response, sent or not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.close = file.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(self._file.read, _PIECE):
            yield piece


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
