"""Tells other processes over Redis that something is new; never what it is.

A notice is a doorbell: what it announces was saved before, so a lost notice costs
a moment and nothing else, and no caller has to handle a broker that is away.
"""

import json
import logging
import time
from functools import cache
from typing import Any

import redis
from django.conf import settings

LIVE_CHANNEL = "aml-portal:live"
MONITOR_CHANNEL = "aml-portal:monitor"

# Pages hear at most this often, in seconds, that a log grew or something else did.
_GREW_EVERY = 0.02
_CHANGED_EVERY = 0.5

_log = logging.getLogger(__name__)


def announce_status(run_id: str, status: str, number: int) -> None:
    """Run `run_id` has a new state: pages show it, and the monitor looks.

    `number` grows with every state of a run, since notices of several processes may
    arrive in another order than that of the states.
    """
    notice = {"run": run_id, "changed": "status", "status": status, "number": number}
    _publish(LIVE_CHANNEL, notice)
    ring_monitor()


def announce_change(run_id: str, what: str) -> None:
    """Something else of the run is new: "files", "resources", "notes" or "tags"."""
    _publish(LIVE_CHANNEL, {"run": run_id, "changed": what})


def announce_log(run_id: str, end: int) -> None:
    """The mirrored log of the run now ends at byte `end`."""
    _publish(LIVE_CHANNEL, {"run": run_id, "end": end})


def ring_monitor() -> None:
    _publish(MONITOR_CHANNEL, {})


class Announcer:
    """Tells pages what grows, at once if it can and no more often than needed."""

    def __init__(self) -> None:
        # What waits to be told of (run, what), and when that was last done.
        self._pending: dict[tuple[str, str], int] = {}
        self._told: dict[tuple[str, str], float] = {}

    def grew(self, run_id: str, end: int) -> None:
        self._pending[run_id, "log"] = end
        self._tell_if_due(run_id, "log", time.monotonic())

    def changed(self, run_id: str, what: str) -> None:
        self._pending[run_id, what] = 0
        self._tell_if_due(run_id, what, time.monotonic())

    def flush(self) -> bool:
        """Tell what has become due; whether something has to wait."""
        now = time.monotonic()
        for run_id, what in list(self._pending):
            self._tell_if_due(run_id, what, now)
        return bool(self._pending)

    def forget(self, run_id: str) -> None:
        for records in (self._pending, self._told):
            for key in [key for key in records if key[0] == run_id]:
                del records[key]

    def _tell_if_due(self, run_id: str, what: str, now: float) -> None:
        key, pause = (run_id, what), _GREW_EVERY if what == "log" else _CHANGED_EVERY
        if now - self._told.get(key, -pause) < pause:
            return
        self._told[key] = now
        end = self._pending.pop(key)
        if what == "log":
            announce_log(run_id, end)
        else:
            announce_change(run_id, what)


def _publish(channel: str, notice: dict[str, Any]) -> None:
    try:
        _client().publish(channel, json.dumps(notice))
    except redis.RedisError as error:
        _log.debug("No notice was sent on %s: %s", channel, error)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2
    )
