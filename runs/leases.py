"""Leases: one process at a time, and another takes over when it is gone."""

import contextlib
import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from runs.models import Lease


def new_owner() -> str:
    """A name for a holder that no other holder ever has.

    It begins with where the process is to be found, so that a holder that was killed
    on this machine need not be waited for.
    """
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_start_time(pid)}/{uuid.uuid4().hex[:8]}"


def acquire(name: str, owner: str, seconds: float) -> bool:
    """Take or renew the lease; False while another holds it."""
    now = timezone.now()
    lease = Lease.objects.filter(name=name).first()
    if lease is None:
        return _create(name, owner, now + timedelta(seconds=seconds))
    free = Q(owner=owner) | Q(expires_at__lte=now)
    if _is_gone(lease.owner):
        free |= Q(owner=lease.owner)
    taken = Lease.objects.filter(free, name=name).update(
        owner=owner, expires_at=now + timedelta(seconds=seconds)
    )
    return taken == 1


def release(name: str, owner: str) -> None:
    Lease.objects.filter(name=name, owner=owner).delete()


def held(names: Iterable[str]) -> set[str]:
    """Those of `names` that somebody holds."""
    leases = Lease.objects.filter(name__in=list(names), expires_at__gt=timezone.now())
    return {lease.name for lease in leases if not _is_gone(lease.owner)}


def is_held(name: str) -> bool:
    return bool(held([name]))


@contextlib.contextmanager
def holding(name: str, seconds: float) -> Iterator[bool]:
    """Hold a lease through the block, renewed by a thread; whether it was free."""
    owner = new_owner()
    if not acquire(name, owner, seconds):
        yield False
        return
    done = threading.Event()

    def renew() -> None:
        try:
            while not done.wait(seconds / 3):
                # Busy for once; the lease lasts for two more tries.
                with contextlib.suppress(OperationalError):
                    acquire(name, owner, seconds)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield True
    finally:
        done.set()
        thread.join()
        release(name, owner)


def _create(name: str, owner: str, until: datetime) -> bool:
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, owner=owner, expires_at=until)
    except IntegrityError:
        return False
    return True


def _is_gone(owner: str) -> bool:
    """Whether the holder was a process of this machine that no longer exists."""
    machine, pid, start_time, _ = owner.split("/")
    return machine == _machine() and _start_time(int(pid)) != start_time


@cache
def _machine() -> str:
    """This boot of this machine, and the process namespace in it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return f"{boot.strip()}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return uuid.uuid4().hex


def _start_time(pid: int) -> str:
    """When the process began, in clock ticks since the boot; "" if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name, in brackets, may hold anything; the start is the 22nd field in all.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
