"""One subscription per web process, shared by all of its sockets.

Notices only say that something is new. What they announce is on disk or in the
database, so a socket that has slept through some looks once and has missed nothing.
"""

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import redis.asyncio
from django.conf import settings

from runs.notices import LIVE_CHANNEL, LOOK

_log = logging.getLogger(__name__)

# How often all watchers look for themselves while the broker is away, in seconds.
_WITHOUT_BROKER = 1.0
# After this many seconds without a word the broker is asked whether it is there, and
# after as many again taken for gone.
_SILENCE = 2.0
# Each watcher looks this often anyway, in seconds: who had news to tell may have ended
# before the broker listened again. One after another, however many have come at once:
# looks take time, in which no socket is served.
_LOOK_EVERY = 30.0
_GOLDEN = 0.618


class Watcher:
    """What has been announced to one socket and not been taken by it yet."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._notices: dict[tuple[str, str], dict[str, Any]] = {}
        self._look = False

    def tell(self, notice: dict[str, Any]) -> None:
        """Keep the newest notice of each kind; a slow socket can't pile them up."""
        key = notice["run"], notice.get("changed", "log")
        kept = self._notices.get(key, notice)
        if kept.get("number", 0) <= notice.get("number", 0):
            self._notices[key] = notice
        self._news.set()

    def look(self) -> None:
        """Notices may have been missed: the watcher must see for itself."""
        self._look = True
        self._news.set()

    def wake(self) -> None:
        self._news.set()

    async def news(self) -> tuple[list[dict[str, Any]], bool]:
        """Wait until woken; the notices since, and whether some may be missing."""
        await self._news.wait()
        self._news.clear()
        notices, self._notices = list(self._notices.values()), {}
        look, self._look = self._look, False
        return notices, look


class Hub:
    """Hands each notice to the watchers of its run and to those of everything."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None
        self._count = 0

    @contextlib.contextmanager
    def watching(self, *topics: str) -> Iterator[Watcher]:
        """A watcher of runs and queues; of all states and queues if none is named."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        watcher = Watcher()
        topics = topics or ("",)
        for topic in topics:
            self._watchers[topic].add(watcher)
        looking = asyncio.create_task(self._look_now_and_then(watcher))
        try:
            yield watcher
        finally:
            looking.cancel()
            for topic in topics:
                self._watchers[topic].discard(watcher)
                if not self._watchers[topic]:
                    del self._watchers[topic]

    async def _listen(self) -> None:
        while not _is_canceled():
            try:
                await self._take_notices()
            except (redis.RedisError, OSError) as error:
                _log.debug("The broker is away: %s", error)
                await asyncio.sleep(_WITHOUT_BROKER)
                self._let_all_look()

    async def _take_notices(self) -> None:
        """Hand out what is announced, until the broker is not heard from any more."""
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=_SILENCE, socket_connect_timeout=_SILENCE
        )
        async with client, client.pubsub() as subscription:
            await subscription.subscribe(LIVE_CHANNEL)
            is_asked = False
            while not _is_canceled():
                message = await subscription.get_message(timeout=_SILENCE)
                if message is None and is_asked:
                    raise redis.TimeoutError("no answer to a ping")
                is_asked = message is None
                if message is None:
                    await subscription.ping()
                elif message["type"] == "subscribe":
                    # Something may have been announced while nobody listened.
                    self._let_all_look()
                elif message["type"] == "message":
                    self._take(message["data"])

    def _take(self, data: bytes) -> None:
        """Hand out a notice; who else may use the broker can send anything."""
        try:
            notice = json.loads(data)
            if notice == LOOK:
                self._let_all_look()
            else:
                self._hand_out(notice)
        except (ValueError, TypeError, LookupError, RecursionError):
            _log.debug("What is no notice was sent: %.200r", data)

    def _hand_out(self, notice: dict[str, Any]) -> None:
        for watcher in self._watchers.get(notice["run"], ()):
            watcher.tell(notice)
        # Who watches everything does not want each log that grew.
        if notice.get("changed") in ("status", "place"):
            for watcher in self._watchers.get("", ()):
                watcher.tell(notice)

    async def _look_now_and_then(self, watcher: Watcher) -> None:
        # Multiples of this share lie far from each other within a turn.
        self._count += 1
        await asyncio.sleep(self._count * _GOLDEN % 1 * _LOOK_EVERY)
        while not _is_canceled():
            watcher.look()
            await asyncio.sleep(_LOOK_EVERY)

    def _let_all_look(self) -> None:
        for watcher in set().union(*self._watchers.values()):
            watcher.look()


def _is_canceled() -> bool:
    """Whether this task is to end: asyncio.wait_for, before Python 3.12, may keep it
    from hearing so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


hub = Hub()
