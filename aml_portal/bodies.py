"""Takes the bodies of requests: none is larger than what its sender may bring.

Django keeps a body whole before anything of it, sign-in included, looks at the
request. So the limits are kept here, and nothing that a stranger sends is kept at all
beyond the size of a form.
"""

import asyncio
import contextlib
import errno
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.http import parse_cookie
from django.urls import reverse

from aml_portal.sign_in import is_signed_in
from aml_portal.sizes import spell_size

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# What an archive may need for each file besides its bytes: header, name, padding.
_PER_FILE = 4096
# Written in pieces of this size.
_PIECE = 1024 * 1024
# Who sends too much is listened to for so many seconds, or the answer goes unheard.
_PATIENCE = 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Refused(Exception):
    """A body is not taken: the status of the answer, what happened, what to do."""

    def __init__(self, status: HTTPStatus, message: str, advice: str) -> None:
        super().__init__(message)
        self.status, self.message, self.advice = status, message, advice


class _Sender:
    """Who sends a body, and whether more of it is to come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_more = True

    async def receive(self) -> Message:
        message = await self._receive()
        self._has_more = message.get("more_body", False)
        return message

    async def hear_out(self) -> None:
        """Drop what is still to come: browsers read no answer before they are done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._has_more:
                    await self.receive()


class Pages(ASGIHandler):
    """Django's handler, with limits to bodies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = _Sender(receive)
        try:
            limited = await _limited(scope, sender.receive)
            await super().__call__(scope, limited, send)
        except _Refused as refusal:
            if b"expect" not in dict(scope["headers"]):  # It asks before it sends.
                await sender.hear_out()
            await _answer(refusal, scope, send)

    async def read_body(self, receive: Receive) -> IO[bytes]:
        """The body as a file that can be sought in; large ones lie in uploads/."""
        # Closing, too, writes what is still held back, as seeking does.
        with _full_disk_told(), contextlib.ExitStack() as unless_whole:
            body = unless_whole.enter_context(
                tempfile.SpooledTemporaryFile(
                    settings.FILE_UPLOAD_MAX_MEMORY_SIZE,
                    dir=str(settings.UPLOADS_FOLDER),
                )
            )
            size = await _copy(receive, body)
            await _do(body.seek, 0, size=size)
            unless_whole.pop_all()
            return body


async def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, which raises _Refused instead of bringing too much."""
    headers = dict(scope["headers"])
    limit, refusal = await _limit(scope["path"], headers)
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > 18 or int(declared) > limit:
        raise refusal
    taken = 0

    async def take() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise refusal
        return message

    return take


async def _limit(path: str, headers: dict[bytes, bytes]) -> tuple[int, _Refused]:
    """How much may come, and what is said to more."""
    form = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    # The last has addresses below it, one for each large file.
    uploads = map(reverse, ("runs:upload", "runs:submit", "runs:offer"))
    if path not in uploads and not path.startswith(reverse("runs:objects")):
        return form, _too_large(form)
    if not await _is_signed_in(headers):
        return form, _stranger()
    return largest_upload(), _too_large(settings.SNAPSHOT_MAX_BYTES)


def largest_upload() -> int:
    """How many bytes an archive may have whose files are as large as they may be."""
    return settings.SNAPSHOT_MAX_BYTES + settings.SNAPSHOT_MAX_FILES * _PER_FILE


async def _copy(receive: Receive, body: IO[bytes]) -> int:
    """Write all that is received to `body`; how many bytes that were."""
    piece, size, more = bytearray(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestAborted
        piece += message.get("body", b"")
        more = message.get("more_body", False)
        if len(piece) >= _PIECE or not more:
            size += len(piece)
            await _do(body.write, piece, size=size)
            piece = bytearray()
    return size


async def _do(work: Callable[[Any], object], argument: object, *, size: int) -> None:
    """Do `work`: in a thread once `size` bytes are for a disk, which may be slow."""
    if size > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
        await asyncio.to_thread(work, argument)
    else:
        work(argument)


@contextlib.contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full_disk() from error
        raise


async def _is_signed_in(headers: dict[bytes, bytes]) -> bool:
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    return bool(key) and await is_signed_in(key)


async def _answer(refusal: _Refused, scope: Scope, send: Send) -> None:
    """As the views answer: scripts get JSON, and a person the same sentence."""
    accepted = dict(scope["headers"]).get(b"accept", b"")
    if b"application/json" in accepted:
        kind = b"application/json"
        words = {"error": refusal.message, "advice": refusal.advice}
        content = json.dumps(words).encode()
    else:
        kind = b"text/plain; charset=utf-8"
        content = f"{refusal.message} {refusal.advice}".encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(content)),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    status = refusal.status.value
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _too_large(most: int) -> _Refused:
    return _Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"This is larger than {spell_size(most)}, the most that the portal takes.",
        "Leave out what the script does not need.",
    )


def _stranger() -> _Refused:
    return _Refused(
        HTTPStatus.UNAUTHORIZED,
        "You are not signed in any more.",
        "Reload the page, sign in and try again.",
    )


def _full_disk() -> _Refused:
    return _Refused(
        HTTPStatus.INSUFFICIENT_STORAGE,
        "The portal's disk is full, and nothing was kept.",
        "Ask an administrator to make room, then try again.",
    )
