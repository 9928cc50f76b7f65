"""Notices keep nobody waiting, and what was not told is looked for."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis
from django.conf import settings

from aml_portal.queues import runs_queue
from runs import hub as hubs, notices
from runs.hub import Hub, Watcher
from runs.notices import LIVE_CHANNEL, announce_change
from tests.services.redis import RedisServer


@contextmanager
def frozen(server: RedisServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def has_news(watcher: Watcher, seconds: float = 10) -> tuple[list[object], bool]:
    found, look = await asyncio.wait_for(watcher.news(), seconds)
    return list(found), look


async def listening(hub: Hub, watcher: Watcher) -> None:
    """Wait until the hub has its subscription, which makes all look."""
    assert await has_news(watcher) == ([], True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_PAUSE", 0.2)
    monkeypatch.setattr(hubs, "_SILENCE", 0.3)
    monkeypatch.setattr(hubs, "_WITHOUT_BROKER", 0.1)


def test_a_frozen_broker_keeps_nobody_waiting_for_long(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_PAUSE", 60.0)
    publisher = notices._Publisher()
    with frozen(redis_server):
        begun = time.monotonic()
        for _ in range(1000):
            publisher.publish(LIVE_CHANNEL, {"run": "r", "changed": "files"})
        assert time.monotonic() - begun < 5


def test_what_was_not_told_is_looked_for(redis_server: RedisServer) -> None:
    async def run() -> None:
        hub = Hub()
        with hub.watching("r") as watcher:
            await listening(hub, watcher)
            with frozen(redis_server):
                await asyncio.to_thread(announce_change, "r", "files")
            while not (await has_news(watcher))[1]:
                pass

    asyncio.run(run())


def test_all_look_for_themselves_while_the_broker_is_silent(
    redis_server: RedisServer,
) -> None:
    async def run() -> None:
        hub = Hub()
        with hub.watching("r") as watcher:
            await listening(hub, watcher)
            with frozen(redis_server):
                for _ in range(3):
                    assert (await has_news(watcher))[1]

    asyncio.run(run())


def test_a_broker_that_is_only_quiet_makes_nobody_look(
    redis_server: RedisServer,
) -> None:
    async def run() -> None:
        hub = Hub()
        with hub.watching("r") as watcher:
            await listening(hub, watcher)
            with pytest.raises(TimeoutError):
                await has_news(watcher, 1.5)

    asyncio.run(run())


def test_all_look_now_and_then_whatever_was_not_told(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who could not tell it may have ended since, as the horse of a worker does."""
    monkeypatch.setattr(hubs, "_LOOK_EVERY", 0.5)

    async def run() -> None:
        hub = Hub()
        with hub.watching("r") as watcher:
            await listening(hub, watcher)
            for _ in range(2):
                assert await has_news(watcher) == ([], True)

    asyncio.run(run())


@pytest.mark.parametrize(
    "words", [b"", b"\xff", b"5", b"[]", b"{}", b'{"run": {}}', b"[" * 100_000]
)
def test_what_is_no_notice_harms_nobody(
    redis_server: RedisServer, words: bytes
) -> None:
    async def run() -> None:
        hub = Hub()
        with hub.watching("r") as watcher:
            await listening(hub, watcher)
            redis_server.client.publish(LIVE_CHANNEL, words)
            announce_change("r", "files")
            expected = [{"run": "r", "changed": "files"}]
            assert await has_news(watcher) == (expected, False)

    asyncio.run(run())


def test_two_portals_on_one_broker_do_not_hear_each_other() -> None:
    for name in (LIVE_CHANNEL, notices.MONITOR_CHANNEL, settings.RUNS_QUEUE):
        assert settings.PORTAL_ID in name


def test_a_frozen_broker_gives_work_up_soon(redis_server: RedisServer) -> None:
    with frozen(redis_server), pytest.raises(redis.TimeoutError):
        begun = time.monotonic()
        try:
            runs_queue().enqueue_call("runs.tasks.start_run", args=(0,))
        finally:
            assert time.monotonic() - begun < 10
