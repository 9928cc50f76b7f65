"""The sockets of the pages: what grows and what changes, as it happens.

A log travels as binary frames, an offset of eight bytes (big-endian) and then the
log's bytes from there on. The browser asks from the offset that it has, so neither a
lost connection nor a restart of anything leaves a gap.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db.models import Max, Q
from django.urls import path

from aml_portal.sign_in import is_signed_in
from runs import logs
from runs.hub import Watcher, hub
from runs.mirror import log_path
from runs.models import Run
from runs.notices import queue_topic
from runs.status import TERMINAL, RunStatus

_log = logging.getLogger(__name__)

_FRAME = 512 * 1024
# Bytes on their way to a browser that it has not acknowledged yet.
_WINDOW = 2 * 1024 * 1024
# A viewer of the tail that is further behind than this goes on at the new tail.
_BACKLOG = 4 * 1024 * 1024
_GROWN_EVERY = 0.25
# Not every system can say that a read would have to wait for the disk.
_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)

# Of requests that wait to be answered; a page sends a few a second.
_MOST_REQUESTS = 1000

_LOOK_FOR_SESSION_EVERY = 10.0

_TROUBLE = 1011
_NOT_UNDERSTOOD = 4400
_NOT_SIGNED_IN = 4401
_NO_SUCH_RUN = 4404


@dataclass(frozen=True, kw_only=True)
class Follow:
    """Send the log from byte `start` on, or from its tail if that is None.

    With `skip`, a reader that is far behind goes on at the tail.
    """

    start: int | None
    skip: bool


@dataclass(frozen=True, kw_only=True)
class Ack:
    """The browser has everything up to `offset`."""

    offset: int


@dataclass(frozen=True, kw_only=True)
class Unfollow:
    """Send no more of the log."""


class NotUnderstoodError(Exception):
    """A page asked for something that none of ours does."""


def parse_request(text: str) -> Follow | Ack | Unfollow:
    """What a page asks for; raises NotUnderstoodError."""
    try:
        match json.loads(text):
            case {"type": "follow", "from": "tail", **more}:
                return Follow(start=None, skip=bool(more.get("skip")))
            case {"type": "follow", "from": int(start), **more}:
                return Follow(start=start, skip=bool(more.get("skip")))
            case {"type": "ack", "offset": int(offset)}:
                return Ack(offset=offset)
            case {"type": "unfollow"}:
                return Unfollow()
    except (ValueError, RecursionError) as error:
        raise NotUnderstoodError("A request is no JSON") from error
    raise NotUnderstoodError("A request is of no known kind")


class _Socket(AsyncWebsocketConsumer):
    """A socket of a signed-in person, served by a task until it closes."""

    _task: asyncio.Task[None] | None = None
    _guard: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        # Accepted first: a browser can't read the code of a refused handshake.
        await self.accept()
        user = self.scope["user"]
        if user is None or not user.is_authenticated:
            await self.close(_NOT_SIGNED_IN)
        elif await self.prepare():
            self._task = asyncio.create_task(self._serve_or_close())
            self._guard = asyncio.create_task(self._close_when_signed_out())

    async def disconnect(self, code: int) -> None:
        for task in (self._guard, self._task):
            if task:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _close_when_signed_out(self) -> None:
        """The session may end elsewhere, in another tab or by a new password."""
        key = self.scope["session"].session_key
        lasts = True
        while lasts:
            await asyncio.sleep(_LOOK_FOR_SESSION_EVERY)
            try:
                lasts = await is_signed_in(key)
            except Exception as error:
                # No answer is no reason to hang up, nor to stop asking.
                _log.warning("The session of a socket can't be looked at: %r", error)
        await self._hang_up(_NOT_SIGNED_IN)

    async def prepare(self) -> bool:
        """Find what the socket is about; False once it was closed instead."""
        return True

    async def serve(self) -> None:
        raise NotImplementedError

    async def _serve_or_close(self) -> None:
        """Serve; on any trouble hang up, so that the page calls again."""
        try:
            await self.serve()
        except OSError as error:
            _log.debug("A socket was lost: %r", error)
            code = _TROUBLE
        except NotUnderstoodError as error:
            _log.info("A socket was closed: %s", error)
            code = _NOT_UNDERSTOOD
        except Exception:
            _log.exception("A socket can't be served")
            code = _TROUBLE
        await self._hang_up(code)

    async def _hang_up(self, code: int) -> None:
        """Close; the browser may have been quicker."""
        with contextlib.suppress(OSError, RuntimeError):
            await self.close(code)

    def say(self, message: dict[str, Any]) -> Awaitable[None]:
        sending: Awaitable[None] = self.send(text_data=json.dumps(message))
        return sending


class WorkspaceConsumer(_Socket):
    """Tells of every run whose state changes."""

    async def serve(self) -> None:
        with hub.watching() as watcher:
            while True:
                notices, look = await watcher.news()
                for notice in notices:
                    if notice["changed"] == "status":
                        await self.say(
                            {"run": notice["run"], "status": notice["status"]}
                        )
                    else:
                        await self.say({"queue": notice["queue"]})
                if look:
                    await self.say({"run": None})


class RunConsumer(_Socket):
    """Tells of one run, and sends its log to who follows it."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: list[str] = []

    async def prepare(self) -> bool:
        self._run_id: str = self.scope["url_route"]["kwargs"]["run_id"]
        found = await _look_up(self._run_id)
        if found is None:
            await self.close(_NO_SUCH_RUN)
            return False
        self._path = log_path(self._run_id)
        self._status, self._number, target = found
        self._queue = queue_topic(target)
        self._watcher = Watcher()
        self._following = self._skip = self._ended = False
        self._sent = self._acknowledged = 0
        self._told = -1
        self._told_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # The kernel knows the file from here on: to ask for its size reads no disk.
        await asyncio.to_thread(_size, self._path)
        return True

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        # Only kept here: what a request changes belongs to the serving task.
        if len(self._requests) > _MOST_REQUESTS:
            await self.close(_NOT_UNDERSTOOD)
        elif self._task:
            self._requests.append(text_data or "")
            self._watcher.wake()

    async def serve(self) -> None:
        with hub.watching(self._run_id, self._queue) as self._watcher:
            self._watcher.look()
            try:
                while True:
                    await self._serve_news()
            finally:
                if self._timer:
                    self._timer.cancel()

    async def _serve_news(self) -> None:
        notices, look = await self._watcher.news()
        requests, self._requests = self._requests, []
        for request in requests:
            await self._answer(request)
        await self._tell_changes(notices, look=look)
        await self._tell_growth()
        await self._push()

    async def _answer(self, text: str) -> None:
        match parse_request(text):
            case Follow() as request:
                await self._follow(request)
            case Ack(offset=offset):
                # One from before a skip says less than is known by then.
                self._acknowledged = max(self._acknowledged, min(offset, self._sent))
            case Unfollow():
                self._following = False

    async def _follow(self, request: Follow) -> None:
        end = _size(self._path)
        if request.start is None:
            offset, line = await asyncio.to_thread(logs.tail_start, self._path)
        else:
            offset = min(max(request.start, 0), end)
            line = await asyncio.to_thread(logs.line_of, self._path, offset)
        self._following, self._skip, self._ended = True, request.skip, False
        self._sent = self._acknowledged = offset
        await self.say({"type": "log", "from": offset, "line": line, "end": end})

    async def _tell_changes(self, notices: list[dict[str, Any]], *, look: bool) -> None:
        for notice in notices:
            if notice.get("changed") == "status":
                await self._tell_status(notice["status"], notice["number"])
            elif notice.get("changed") == "restart":
                await self._start_over()
            elif notice["run"] == self._queue and self._status != RunStatus.QUEUED:
                continue
            elif "changed" in notice:
                await self._tell_change(notice["changed"])
        if look:
            found = await _look_up(self._run_id)
            if found is None:
                raise FileNotFoundError(f"Run {self._run_id} was deleted")
            await self._tell_status(*found[:2])

    async def _tell_status(self, status: str, number: int) -> None:
        """Tell of a state, unless it is known or older than the known one."""
        if number > self._number:
            self._status, self._number = status, number
            await self._tell_change("status")

    async def _tell_change(self, what: str) -> None:
        await self.say({"type": "changed", "what": [what], "status": self._status})

    async def _tell_growth(self) -> None:
        size = _size(self._path)
        now = time.monotonic()
        if size == self._told:
            return
        wait = self._told_at + _GROWN_EVERY - now
        if wait > 0 and self._status not in TERMINAL:
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(wait, self._wake)
            return
        self._told, self._told_at = size, now
        lines = await asyncio.to_thread(_total_lines, self._path, size)
        await self.say({"type": "grown", "end": size, "lines": lines})

    def _wake(self) -> None:
        self._timer = None
        self._watcher.wake()

    async def _push(self) -> None:
        size = _size(self._path)
        if self._following and size < self._sent:
            await self._start_over()
        if self._following and self._skip and size - self._sent > _BACKLOG:
            await self._skip_to_tail(size)
        while self._following and self._sent < size:
            if self._sent - self._acknowledged >= _WINDOW:
                return
            data = await _read(self._path, self._sent, min(_FRAME, size - self._sent))
            if not data:
                # Shortened since; the next look sees it.
                return
            await self.send(bytes_data=self._sent.to_bytes(8, "big") + data)
            self._sent += len(data)
        if self._status in TERMINAL and not self._ended:
            self._ended = True
            await self.say({"type": "end", "size": size})

    async def _skip_to_tail(self, size: int) -> None:
        offset, line = await asyncio.to_thread(logs.tail_start, self._path)
        if offset > self._sent:
            self._sent = self._acknowledged = offset
            await self.say({"type": "skip", "from": offset, "line": line, "end": size})

    async def _start_over(self) -> None:
        """The mirror was found damaged and is being written anew."""
        _read_from_memory.cache_clear()
        _total_lines.cache_clear()
        self._told = -1
        await self.say({"type": "restart"})
        if self._following:
            await self._follow(Follow(start=0, skip=self._skip))


@database_sync_to_async
def _look_up(run_id: str) -> tuple[str, int, int] | None:
    """Its state in the database, the state's number and its target; None if no run."""
    number = Max("events__id", filter=~Q(events__status=""))
    found = (
        Run.objects.filter(run_id=run_id)
        .annotate(state_number=number)
        .values_list("status", "state_number", "target_id")
        .first()
    )
    return found and (found[0], found[1] or 0, found[2])


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


async def _read(log: Path, offset: int, length: int) -> bytes:
    """What was written just now is in memory; only the disk is worth a thread."""
    try:
        return _read_from_memory(log, offset, length)
    except OSError:
        return await asyncio.to_thread(_pread, log, offset, length)


@lru_cache(maxsize=16)
def _read_from_memory(log: Path, offset: int, length: int) -> bytes:
    """Shared by all who watch the same log; written bytes never change.

    Raises BlockingIOError if the kernel would have to read them from the disk.
    """
    return _pread(log, offset, length, _NO_WAIT)


def _pread(log: Path, offset: int, length: int, flags: int = 0) -> bytes:
    data = bytearray(length)
    with log.open("rb", buffering=0) as file:
        count = os.preadv(file.fileno(), [data], offset, flags)
    return bytes(memoryview(data)[:count])


@lru_cache(maxsize=256)
def _total_lines(log: Path, size: int) -> int:
    """The number of lines when the log had `size` bytes, counted once for all."""
    return logs.total_lines(log)


def _route(address: str, consumer: type[_Socket]) -> Any:
    # Django's stubs know only views here.
    application: Any = consumer.as_asgi()
    return path(address, application)


websocket_urlpatterns = [
    _route("ws/workspace/", WorkspaceConsumer),
    _route("ws/runs/<str:run_id>/", RunConsumer),
]
