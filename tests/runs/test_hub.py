"""Notices may come late, twice or in another order than what they tell of."""

import asyncio
from typing import Any

import pytest

from runs.hub import Hub, Watcher
from runs.notices import announce_queue, queue_topic
from tests.services.redis import RedisServer


def status(name: str, number: int) -> dict[str, Any]:
    return {"run": "r", "changed": "status", "status": name, "number": number}


def taken(*notices: dict[str, Any]) -> list[dict[str, Any]]:
    async def listen() -> list[dict[str, Any]]:
        watcher = Watcher()
        for notice in notices:
            watcher.tell(notice)
        found, _ = await watcher.news()
        return found

    return asyncio.run(listen())


def test_a_late_notice_does_not_hide_a_newer_state() -> None:
    assert taken(status("Completed", 7), status("Starting", 3)) == [
        status("Completed", 7)
    ]


def test_a_slow_socket_gets_the_newest_of_each_kind() -> None:
    grown = [{"run": "r", "end": end} for end in range(1000)]
    files = {"run": "r", "changed": "files"}
    found = taken(*grown, files, status("Running", 1), files, status("Completed", 2))
    assert found == [grown[-1], files, status("Completed", 2)]


def test_a_notice_of_a_queue_reaches_those_who_wait_in_it(
    redis_server: RedisServer,
) -> None:
    async def run() -> None:
        hub = Hub()
        with (
            hub.watching("r", queue_topic(5)) as mine,
            hub.watching("s", queue_topic(6)) as other,
            hub.watching() as everything,
        ):
            for watcher in (mine, other, everything):
                assert await heard(watcher) == ([], True)
            announce_queue(5)
            notice = {"run": queue_topic(5), "changed": "place", "queue": 5}
            assert await heard(mine) == ([notice], False)
            assert await heard(everything) == ([notice], False)
            with pytest.raises(TimeoutError):
                await heard(other, 0.3)

    asyncio.run(run())


async def heard(watcher: Watcher, seconds: float = 10) -> tuple[list[object], bool]:
    notices, look = await asyncio.wait_for(watcher.news(), seconds)
    return list(notices), look
