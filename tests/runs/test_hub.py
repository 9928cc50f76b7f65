"""Notices may come late, twice or in another order than what they tell of."""

import asyncio
from typing import Any

from runs.hub import Watcher


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
