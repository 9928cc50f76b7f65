"""Clients of Redis that don't keep whoever uses them waiting for long."""

from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry


@cache
def redis_client(patience: float) -> redis.Redis:
    """A client, shared by all threads, that waits so many seconds at a time.

    Each command is tried twice, since a connection that was kept may be one to a
    server that has been restarted meanwhile.
    """
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=patience,
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 1),
    )
