"""The monitor: follows every active job of every host, and mends what was lost.

Any number of monitors may run; a lease per host lets one of them follow it, and
another take over when that one is gone.
"""

import logging
import resource
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import redis
from django.db import close_old_connections

from aml_portal.errors import PortalError
from aml_portal.redis_clients import redis_client
from computes.models import LOCAL, ComputeTarget
from computes.services import ask_for_due_checks, note_seen, note_trouble
from computes.targets import host_of
from runs import leases
from runs.detaching import detach_closed
from runs.dispatch import enqueue_daily_sweep
from runs.follower import Follower
from runs.models import Run
from runs.notices import MONITOR_CHANNEL
from runs.reconcile import Reconciler
from runs.watching import Watcher

if TYPE_CHECKING:
    from computes.hosts import Host

_log = logging.getLogger(__name__)

_TICK = 1.0
_RECONCILE_EVERY = 2.0
_SEEN_EVERY = 10.0
_LEASE = 15.0
_RENEW_EVERY = 5.0
# Seconds to wait for the broker, and those after which it is asked for anew.
_PATIENCE = 2.0
_SILENCE = 30.0
# Not in the first minutes, when all else starts.
_SWEEP_AFTER = 600.0
# An idle stream is closed after this many seconds.
_IDLE = 60.0


class Monitor:
    def __init__(self) -> None:
        self._owner = leases.new_owner()
        self._followers: dict[str, Follower] = {}
        self._watchers: dict[int, Watcher] = {}
        # The targets of each host that has runs.
        self._targets = defaultdict[str, set[int]](set)
        self._renewed: dict[str, float] = {}
        self._reconciler = Reconciler()
        self._reconciled = self._seen = -_SEEN_EVERY
        self._sweep_from = time.monotonic() + _SWEEP_AFTER
        self._stopped = threading.Event()
        self._bell = threading.Event()

    def run(self) -> None:
        """Work until `stop` is called."""
        _raise_file_limit()
        threading.Thread(target=self._listen, daemon=True).start()
        while not self._stopped.is_set():
            try:
                self._tick()
            except redis.RedisError as error:
                _log.warning("The broker is away: %s", error)
            except Exception:
                _log.exception("A look at the runs failed; the next one comes soon")
                close_old_connections()
            self._bell.wait(_TICK)
            self._bell.clear()
        self._watch(set())
        for key in list(self._followers):
            self._let_go(key)

    def stop(self) -> None:
        self._stopped.set()
        self._bell.set()

    def _tick(self) -> None:
        hosts, runs, seen = self._placed()
        for key, host in hosts.items():
            if key not in self._followers and self._holds(key):
                self._followers[key] = Follower(host)
                self._followers[key].start()
        for key, follower in list(self._followers.items()):
            if follower.is_alive() and self._holds(key) and not _is_idle(follower):
                follower.sync(runs[key])
            else:
                self._let_go(key)
        self._watch({pk for pk, key in seen.items() if key in self._followers})
        self._reconcile()

    def _placed(
        self,
    ) -> "tuple[dict[str, Host], dict[str, list[Run]], dict[int, str]]":
        """The hosts that have runs, and those to be followed, by the host's key.

        A stream is opened while a run is prepared, so that it is there in time. Beside
        them the host's keys of those targets whose jobs are to be looked at.
        """
        by_target: dict[int, list[Run]] = defaultdict(list)
        for some in (Run.objects.placed(), Run.objects.left_there()):
            for run in some.with_way():
                by_target[run.target_id].append(run)
        hosts: dict[str, Host] = {}
        runs: dict[str, list[Run]] = defaultdict(list)
        seen: dict[int, str] = {}
        for there in by_target.values():
            target = there[0].target
            # Once for each target: to find it opens the machine's secrets.
            if host := self._find(target):
                hosts[host.key] = host
                runs[host.key] += [run for run in there if run.is_followed]
                if target.its_kind.sees_jobs:
                    seen[target.pk] = host.key
        return hosts, runs, seen

    def _watch(self, targets: set[int]) -> None:
        """Have the jobs of these targets looked at, and of no others."""
        for pk in self._watchers.keys() - targets:
            self._watchers.pop(pk).stop()
        for pk in targets - self._watchers.keys():
            self._watchers[pk] = Watcher(pk)
            self._watchers[pk].start()

    def _find(self, target: ComputeTarget) -> "Host | None":
        """Its host; None where that is told to who can do something about it."""
        try:
            host = host_of(target)
        except PortalError:
            return None
        self._targets[host.key].add(target.pk)
        return host

    def _let_go(self, key: str) -> None:
        self._followers.pop(key).stop()
        self._renewed.pop(key, None)
        self._targets.pop(key, None)
        leases.release(f"host-{key}", self._owner)

    def _holds(self, key: str) -> bool:
        """Whether the host's lease is this monitor's, taking or renewing it if due."""
        now = time.monotonic()
        if now - self._renewed.get(key, -_LEASE) < _RENEW_EVERY:
            return True
        if leases.acquire(f"host-{key}", self._owner, _LEASE):
            self._renewed[key] = now
            return True
        self._renewed.pop(key, None)
        return False

    def _reconcile(self) -> None:
        now = time.monotonic()
        if now - self._reconciled >= _RECONCILE_EVERY:
            self._reconciled = now
            self._reconciler.reconcile()
        if now - self._seen >= _SEEN_EVERY:
            self._seen = now
            if now >= self._sweep_from:
                enqueue_daily_sweep()
            self._look_at_targets()

    def _look_at_targets(self) -> None:
        """Note which targets answer; have them checked or detached when it is time."""
        ask_for_due_checks()
        detach_closed()
        local = ComputeTarget.objects.filter(kind=LOCAL)
        seen = set(local.values_list("pk", flat=True))
        for key, follower in self._followers.items():
            for target in ComputeTarget.objects.filter(pk__in=self._targets[key]):
                if follower.is_heard():
                    # The machine answers; whether its engine does, a watcher notes.
                    seen |= set() if target.its_kind.sees_jobs else {target.pk}
                elif follower.trouble:
                    note_trouble(target, follower.trouble)
        note_seen(seen)

    def _listen(self) -> None:
        """Hear the doorbell; without it the monitor looks once a tick."""
        while not self._stopped.is_set():
            try:
                with redis_client(_PATIENCE).pubsub() as subscription:
                    subscription.subscribe(MONITOR_CHANNEL)
                    # After a long silence anew, should the connection be dead.
                    while subscription.get_message(timeout=_SILENCE):
                        self._bell.set()
            except redis.RedisError:
                self._stopped.wait(0.5)


def _is_idle(follower: Follower) -> bool:
    return time.monotonic() - follower.busy_at > _IDLE


def _raise_file_limit() -> None:
    """Each followed run has some files open, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
