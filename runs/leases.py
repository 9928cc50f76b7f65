"""Leases: one process at a time, and another takes over when it is gone."""

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from runs.models import Lease


def new_owner() -> str:
    """A name for a holder that no other holder ever has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"[:100]


def acquire(name: str, owner: str, seconds: float) -> bool:
    """Take or renew the lease; False while another holds it."""
    now = timezone.now()
    until = now + timedelta(seconds=seconds)
    mine_or_free = Q(owner=owner) | Q(expires_at__lte=now)
    if (
        Lease.objects.filter(mine_or_free, name=name).update(
            owner=owner, expires_at=until
        )
        == 1
    ):
        return True
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, owner=owner, expires_at=until)
    except IntegrityError:
        return False
    return True


def release(name: str, owner: str) -> None:
    Lease.objects.filter(name=name, owner=owner).delete()


def is_held(name: str) -> bool:
    return Lease.objects.filter(name=name, expires_at__gt=timezone.now()).exists()


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
