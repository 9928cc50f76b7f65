"""The queues of RQ, which may lose everything: the database is the truth."""

import logging

import django_rq
import redis
from django.conf import settings
from rq import Queue

from aml_portal.redis_clients import redis_client

_log = logging.getLogger(__name__)

# Seconds to wait for the broker.
_PATIENCE = 1.0


def runs_queue() -> Queue:
    """The queue of the workers; who uses it hears soon that the broker is away."""
    return _queue(settings.RUNS_QUEUE)


def imports_queue() -> Queue:
    """The queue of the importer, which fetches repositories."""
    return _queue(settings.IMPORTS_QUEUE)


def job_name(*words: object) -> str:
    """The id of an RQ job; RQ keeps those of all portals on a broker in one place."""
    return "-".join(map(str, ("aml-portal", settings.PORTAL_ID, *words)))


def enqueue(queue: Queue, function: str, job_id: str, *keys: int) -> None:
    """Have `function(*keys)` called by a worker. If the broker is away, the reconciler
    comes back to it.
    """
    try:
        queue.enqueue_call(
            function, args=keys, job_id=job_id, result_ttl=0, failure_ttl=86400
        )
    except redis.RedisError as error:
        _log.warning("%s waits for the reconciler: %s", job_id, error)


def _queue(name: str) -> Queue:
    return django_rq.get_queue(name, connection=redis_client(_PATIENCE))
