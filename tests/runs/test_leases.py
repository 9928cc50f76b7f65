"""Leases: one holder at a time, and nobody waits for a dead one."""

import subprocess
import sys
import time

import pytest

from runs import leases
from runs.models import Lease

pytestmark = pytest.mark.django_db


def test_a_second_owner_waits_until_the_lease_runs_out() -> None:
    first, second = leases.new_owner(), leases.new_owner()
    assert leases.acquire("x", first, 60)
    assert not leases.acquire("x", second, 60)
    assert leases.acquire("x", first, 0)
    assert leases.acquire("x", second, 60)
    assert not leases.acquire("x", first, 60)


def test_releasing_frees_only_ones_own() -> None:
    first, second = leases.new_owner(), leases.new_owner()
    leases.acquire("x", first, 60)
    leases.release("x", second)
    assert leases.is_held("x")
    leases.release("x", first)
    assert not leases.is_held("x")


def test_a_holder_that_was_killed_is_not_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    machine, _, _, rest = leases.new_owner().split("/")
    started = leases._start_time(process.pid)
    dead = f"{machine}/{process.pid}/{started}/{rest}"
    assert leases.acquire("x", dead, 60)
    assert leases.is_held("x")
    process.kill()
    process.wait()
    assert not leases.is_held("x")
    assert leases.acquire("x", leases.new_owner(), 60)


def test_a_holder_on_another_machine_is_waited_for() -> None:
    assert leases.acquire("x", "elsewhere/1/1/abc", 60)
    assert not leases.acquire("x", leases.new_owner(), 60)


# Renewed by a thread, which would wait for the transaction of the test.
@pytest.mark.django_db(transaction=True)
def test_holding_renews_and_releases() -> None:
    with leases.holding("x", 0.3) as free:
        assert free
        first = Lease.objects.get(name="x").expires_at
        with leases.holding("x", 0.3) as again:
            assert not again
        deadline = time.monotonic() + 10
        while Lease.objects.get(name="x").expires_at == first:
            assert time.monotonic() < deadline, "the lease was not renewed"
            time.sleep(0.02)
    assert not leases.is_held("x")
