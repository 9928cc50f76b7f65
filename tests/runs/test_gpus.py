"""Which GPUs runs get, and what they wait for."""

import getpass
import os
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from aml_portal.errors import UserError
from aml_portal.queues import runs_queue
from computes.models import ComputeTarget
from runs import tasks
from runs.dispatch import dispatch
from runs.gpus import FRESH, Pool, gpus_in_words
from runs.models import Run
from runs.status import EndReason, RunStatus
from runs.waiting import estimate_of, why_waiting
from tests import factories
from tests.services.monitor import spec_of
from tests.services.nvidia_smi import NvidiaSmi, uuid
from tests.services.redis import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)
ME = getpass.getuser()


@pytest.fixture(autouse=True)
def empty_queue(redis_server: RedisServer) -> None:
    redis_server.client.flushall()


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvidiaSmi:
    smi = NvidiaSmi(tmp_path / "smi")
    monkeypatch.setenv("PATH", smi.path)
    return smi


def machine(smi: NvidiaSmi, gpus: int, **fields: object) -> ComputeTarget:
    """With so many GPUs, which were looked at just now."""
    smi.has(gpus)
    target = factories.target(max_runs=8)
    ComputeTarget.objects.filter(pk=target.pk).update(**fields)
    tasks.look_at_gpus(target.pk)
    target.refresh_from_db()
    return target


def docker_on(target: ComputeTarget) -> ComputeTarget:
    """Another target on the same machine."""
    return ComputeTarget.objects.create(
        name="box", kind="local", machine=target, max_runs=8
    )


def submit(target: ComputeTarget, gpus: int) -> Run:
    run = factories.submit(target=target, gpus=gpus)
    run.refresh_from_db()
    return run


def given(runs: Sequence[Run]) -> list[list[int] | None]:
    """The devices of each; None if it waits."""
    for run in runs:
        run.refresh_from_db()
    return [None if run.status == RunStatus.QUEUED else run.gpu_indexes for run in runs]


def looks_wanted() -> int:
    return sum("gpus" in job for job in runs_queue().job_ids)


def grow_old(target: ComputeTarget) -> None:
    """The last look was too long ago."""
    before = timezone.now() - FRESH - timedelta(seconds=1)
    ComputeTarget.objects.update(gpus_seen_at=before, gpus_asked_at=None)


def test_each_run_gets_devices_of_its_own(smi: NvidiaSmi) -> None:
    target = machine(smi, 4)
    runs = [submit(target, count) for count in (1, 2, 0, 2, 1)]
    # The last one does not pass the one before it, which waits for two.
    assert given(runs) == [[0], [1, 2], [], None, None]
    runs[0].end(EndReason.LOST)
    assert dispatch(target) == 1
    assert given(runs)[3:] == [[0, 3], None]


def test_those_that_ask_for_none_pass_those_that_wait(smi: NvidiaSmi) -> None:
    target = machine(smi, 1)
    ComputeTarget.objects.update(max_runs=2)
    runs = [submit(target, count) for count in (1, 1, 1, 0)]
    assert given(runs) == [[0], None, None, []]


def test_a_device_is_given_once_however_many_targets_are_on_the_machine(
    smi: NvidiaSmi,
) -> None:
    target = machine(smi, 2)
    other = docker_on(target)
    runs = [submit(target, 1), submit(other, 1), submit(target, 1), submit(other, 1)]
    assert given(runs) == [[0], [1], None, None]
    runs[0].end(EndReason.LOST)
    tasks.look_at_gpus(target.pk)
    assert sorted(map(str, given(runs)[2:])) == ["None", "[0]"]


def test_many_dispatchers_at_once_give_no_device_twice(smi: NvidiaSmi) -> None:
    target = machine(smi, 4, max_runs=1)
    targets = [target, docker_on(target)]
    ComputeTarget.objects.update(max_runs=0)
    runs = [submit(targets[number % 2], 1) for number in range(8)]
    ComputeTarget.objects.update(max_runs=8)

    def work(target: ComputeTarget) -> None:
        dispatch(target)
        close_old_connections()
        connection.close()

    threads = [threading.Thread(target=work, args=[each]) for each in targets * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    devices = [index for found in given(runs) for index in found or ()]
    assert sorted(devices) == [0, 1, 2, 3]


def test_nothing_is_given_on_what_was_seen_long_ago(smi: NvidiaSmi) -> None:
    target = machine(smi, 2)
    grow_old(target)
    asked = smi.times_asked()
    run = submit(target, 1)
    assert given([run]) == [None]
    # A worker is asked to look, once however many want it; nobody does so here.
    for _ in range(3):
        dispatch(target)
    assert looks_wanted() == 1
    assert smi.times_asked() == asked
    tasks.look_at_gpus(target.pk)
    assert given([run]) == [[0]]


def test_runs_that_wait_for_each_other_ask_for_no_look(smi: NvidiaSmi) -> None:
    target = machine(smi, 1)
    runs = [submit(target, 1), submit(target, 1)]
    grow_old(target)
    dispatch(target)
    assert given(runs) == [[0], None]
    assert looks_wanted() == 0


def test_what_a_run_used_that_has_ended_is_not_taken_for_use_by_others(
    smi: NvidiaSmi,
) -> None:
    target = machine(smi, 1)
    first = submit(target, 1)
    smi.runs(f"{uuid(0)}, {os.getpid()}, 30000")
    tasks.look_at_gpus(target.pk)
    second = submit(target, 1)
    first.end(EndReason.LOST)
    smi.runs()
    dispatch(target)
    assert given([second]) == [None]
    assert looks_wanted() == 1
    tasks.look_at_gpus(target.pk)
    assert given([second]) == [[0]]


def test_a_device_that_others_use_is_left_alone(smi: NvidiaSmi) -> None:
    target = machine(smi, 3)
    smi.runs(f"{uuid(1)}, {os.getpid()}, 12000")
    tasks.look_at_gpus(target.pk)
    runs = [submit(target, 1), submit(target, 2)]
    assert given(runs) == [[0], None]
    assert why_waiting(runs[1]) == (
        "local runs 8 at a time and has 1 now; this run is the next. It asks for 2"
        f" GPUs; 1 of 3 is free for it; GPU 1 is in use by {ME} (13 GB)."
    )
    estimate = estimate_of(runs[1])
    assert estimate and estimate.why_not
    smi.runs()
    tasks.look_at_gpus(target.pk)
    assert given(runs) == [[0], [1, 2]]


def test_by_policy_the_emptiest_are_taken_instead(smi: NvidiaSmi) -> None:
    target = machine(smi, 0, gpu_policy="share")
    smi.has(3, used=[30_000, 20_000, 10_000])
    tasks.look_at_gpus(target.pk)
    target.refresh_from_db()
    assert given([submit(target, 1), submit(target, 1)]) == [[2], [1]]


def test_only_devices_that_were_chosen_are_given(smi: NvidiaSmi) -> None:
    target = machine(smi, 4, gpu_choice="1, 3")
    runs = [submit(target, 2), submit(target, 1)]
    assert given(runs) == [[1, 3], None]
    with pytest.raises(UserError, match="local has 2 GPUs for runs, and 3 were asked"):
        submit(target, 3)


def test_devices_can_be_named_where_there_is_no_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    target = factories.target(max_runs=8)
    ComputeTarget.objects.update(gpu_choice="0-1")
    tasks.look_at_gpus(target.pk)
    target.refresh_from_db()
    assert given([submit(target, 1), submit(target, 1)]) == [[0], [1]]


@pytest.mark.parametrize("count", [-1, 257])
def test_no_run_asks_for_what_can_not_be(smi: NvidiaSmi, count: int) -> None:
    with pytest.raises(UserError):
        submit(machine(smi, 2), count)


def test_where_there_are_none_none_can_be_asked_for() -> None:
    with pytest.raises(UserError, match="has no GPUs for runs, and 1 was asked for"):
        submit(factories.target(), 1)


def test_a_run_that_asks_for_more_than_is_left_keeps_nobody_waiting(
    smi: NvidiaSmi,
) -> None:
    target = machine(smi, 2)
    ComputeTarget.objects.update(max_runs=0)
    runs = [submit(target, 2), submit(target, 1)]
    ComputeTarget.objects.update(max_runs=8, gpu_choice="0")
    dispatch(target)
    assert given(runs) == [None, [0]]


def test_a_driver_that_fails_is_told_to_those_who_wait(smi: NvidiaSmi) -> None:
    target = machine(smi, 1)
    grow_old(target)
    run = submit(target, 1)
    smi.fails()
    tasks.look_at_gpus(target.pk)
    run.target.refresh_from_db()
    assert given([run]) == [None]
    assert "can't be looked at: nvidia-smi failed with 9" in why_waiting(run)


def test_a_machine_that_does_not_answer_is_noted(smi: NvidiaSmi) -> None:
    target = ComputeTarget.objects.create(
        name="gone", kind="ssh", settings={"address": "127.0.0.1", "port": 1}
    )
    tasks.look_at_gpus(target.pk)
    target.refresh_from_db()
    assert target.trouble
    tasks.look_at_gpus(0)


def test_the_job_is_told_which_it_has(smi: NvidiaSmi) -> None:
    target = machine(smi, 2)
    with_gpus, without = submit(target, 2), submit(target, 0)
    spec, plain = spec_of(with_gpus), spec_of(without)
    assert (spec["gpus"], spec["gpu_count"]) == ([0, 1], 2)
    # On a shared machine, who asks for none is to see none.
    assert (plain["gpus"], plain["gpu_count"]) == ([], 0)


def test_on_a_machine_without_gpus_nothing_is_said_of_them() -> None:
    assert "gpus" not in spec_of(submit(factories.target(), 0))


def test_policy_and_use_make_a_pool() -> None:
    pool = Pool(gpus=[], held=set(), policy="wait", is_fresh=True)
    assert pool.take(1) is None
    assert not pool.needs_look


@pytest.mark.parametrize(
    ("indexes", "words"),
    [
        ([], ""),
        ([3], "GPU 3"),
        ([0, 1], "GPUs 0 and 1"),
        ([0, 1, 2], "GPUs 0, 1 and 2"),
    ],
)
def test_devices_are_named(indexes: list[int], words: str) -> None:
    assert gpus_in_words(indexes) == words
