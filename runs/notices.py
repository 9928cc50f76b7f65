"""Tells other processes over Redis that something is new; never what it is.

A notice is a doorbell: what it announces was saved before, so a lost notice costs
a moment and nothing else, and no caller has to handle a broker that is away.
"""

import json
import logging
import threading
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

import redis
from django.conf import settings

from aml_portal.redis_clients import redis_client

LIVE_CHANNEL = f"aml-portal-{settings.PORTAL_ID}:live"
MONITOR_CHANNEL = f"aml-portal-{settings.PORTAL_ID}:monitor"
# Tells all who listen to look for themselves.
LOOK: dict[str, Any] = {"look": True}

# Pages hear at most this often, in seconds, that a log grew or something else did.
_GREW_EVERY = 0.02
_CHANGED_EVERY = 0.5
# Seconds to wait for the broker, and to leave it alone if it has not answered by then.
_PATIENCE = 0.25
_PAUSE = 2.0
# Notices that are sent together.
_AT_ONCE = 1000

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


def announce_changes(run_ids: Iterable[str], what: str) -> None:
    """The same of many runs, with as few waits for the broker as possible."""
    notices = ({"run": run_id, "changed": what} for run_id in run_ids)
    while batch := list(islice(notices, _AT_ONCE)):
        _publish(LIVE_CHANNEL, *batch)


def queue_topic(target_pk: int) -> str:
    """What the notices of a target's queue have in the place of a run."""
    return f"queue of {target_pk}"


def announce_queue(target_pk: int) -> None:
    """The queue of a target is another, or what its runs have to wait for."""
    notice = {"run": queue_topic(target_pk), "changed": "place", "queue": target_pk}
    _publish(LIVE_CHANNEL, notice)


def announce_log(run_id: str, end: int) -> None:
    """The mirrored log of the run now ends at byte `end`."""
    _publish(LIVE_CHANNEL, {"run": run_id, "end": end})


def announce_restart(run_id: str) -> None:
    """What was mirrored of the run's log is not true; it is written anew from 0."""
    announce_change(run_id, "restart")


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


class _Publisher:
    """Publishes; who waits for the broker in vain spares those after it the wait."""

    def __init__(self) -> None:
        self._silent_until = 0.0
        self._lock = threading.Lock()
        self._missing: threading.Timer | None = None

    def publish(self, channel: str, *notices: dict[str, Any]) -> None:
        if time.monotonic() < self._silent_until:
            self._make_up_for_it()
            return
        try:
            with redis_client(_PATIENCE).pipeline(transaction=False) as together:
                for notice in notices:
                    together.publish(channel, json.dumps(notice))
                together.execute()
        except redis.RedisError as error:
            _log.debug("No notice was sent on %s: %s", channel, error)
            self._silent_until = time.monotonic() + _PAUSE
            self._make_up_for_it()

    def _make_up_for_it(self) -> None:
        """Have all look once the broker is back, whatever they were not told.

        If this process ends before, they look when the hub has them do so anyway.
        """
        with self._lock:
            if self._missing is None:
                self._missing = threading.Timer(_PAUSE, self._tell_all)
                self._missing.daemon = True
                self._missing.start()

    def _tell_all(self) -> None:
        with self._lock:
            self._missing = None
        self._silent_until = 0.0
        self.publish(LIVE_CHANNEL, LOOK)


_publish = _Publisher().publish
