"""Tells other processes over Redis that something is new; never what it is.

A notice is a doorbell: what it announces was saved before, so a lost notice costs
a moment and nothing else, and no caller has to handle a broker that is away.
"""

import json
import logging
from functools import cache
from typing import Any

import redis
from django.conf import settings

LIVE_CHANNEL = "aml-portal:live"
MONITOR_CHANNEL = "aml-portal:monitor"

_log = logging.getLogger(__name__)


def announce_status(run_id: str, status: str) -> None:
    """Run `run_id` has a new state: pages show it, and the monitor looks."""
    _publish(LIVE_CHANNEL, {"run": run_id, "changed": "status", "status": status})
    ring_monitor()


def announce_change(run_id: str, what: str) -> None:
    """Something else of the run is new: "files", "resources" or "tags"."""
    _publish(LIVE_CHANNEL, {"run": run_id, "changed": what})


def announce_log(run_id: str, end: int) -> None:
    """The mirrored log of the run now ends at byte `end`."""
    _publish(LIVE_CHANNEL, {"run": run_id, "end": end})


def ring_monitor() -> None:
    _publish(MONITOR_CHANNEL, {})


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
