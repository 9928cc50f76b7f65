"""What may go wrong with Slurm: the right state, the right words, no second start."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs import execution, sights
from runs.mirror import log_path
from runs.models import Run
from runs.status import EndReason, RunStatus
from runs.storage import source_of
from tests import factories
from tests.services.monitor import (
    Monitor,
    following,
    job_folder,
    placed,
    spec_of,
    started,
)
from tests.services.slurm import NODES, Slurm
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
WAITS = """
import os, time
print("ready", flush=True)
while not os.path.exists("outputs/go"):
    time.sleep(0.05)
print("done")
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
HUGE = {"cpus": 64}


@pytest.fixture
def target(slurm: Slurm) -> ComputeTarget:
    return factories.cluster(slurm)


def seen(run: Run) -> str:
    """What is shown of a run after another look."""
    sights.look(run.target)
    run.refresh_from_db()
    return run.sight


def job_name(run: Run) -> str:
    return f"aml-{run.run_id}"


def let_go(run: Run) -> None:
    (job_folder(run) / "work/outputs/go").touch()


def ready(monitor: Monitor, run: Run) -> None:
    monitor.wait(lambda: b"ready" in log_of(run), "the script prints")


def whole_spec(run: Run) -> dict[str, Any]:
    launcher = launcher_of(run.target)
    return launcher.spec(spec_of(run), run.configuration.launch)


def log_of(run: Run) -> bytes:
    path = log_path(run.run_id)
    return path.read_bytes() if path.exists() else b""


def error_of(run: Run) -> str:
    """Why a run ended, once what its launcher saw was added."""
    execution.clean_run(run.pk)
    run.refresh_from_db()
    return run.error


def test_a_restart_of_the_controller_ends_no_run(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(WAITS, target=target)
    ready(monitor, run)
    slurm.stop_controller()
    slurm.start_controller()
    assert seen(run) == "Running on n1."
    let_go(run)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_of(run) == b"ready\ndone\n"


def test_a_submission_waits_for_a_controller_that_is_away(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = placed("print('fine')", target=target)
    slurm.stop_controller()
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert run.handle is None
    note = run.events.order_by("-id")[0].detail
    assert note.startswith("Slurm can't be asked now: ")
    assert note.endswith("The submission is tried again.")
    slurm.start_controller()
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert len(slurm.jobs(job_name(run))) == 1


def programs(folder: Path, **changed: str) -> str:
    """A folder with Slurm's programs, some of which are scripts instead."""
    folder.mkdir()
    for name in ("squeue", "sinfo", "scancel", "srun", "sbatch"):
        if script := changed.get(name):
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        else:
            (folder / name).symlink_to(shutil.which(name) or "")
    return str(folder)


def test_a_lost_answer_of_sbatch_never_submits_twice(
    monitor: Monitor, slurm: Slurm, tmp_path: Path
) -> None:
    losing = f'{shutil.which("sbatch")} "$@" && kill -KILL $PPID'
    folder = programs(tmp_path / "programs", sbatch=losing)
    run = placed("print('once')", target=factories.cluster(slurm, programs=folder))
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert not run.handle
    assert "The answer of Slurm got lost" in run.events.order_by("-id")[0].detail
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert slurm.ids(job_name(run)) == [(run.handle or {})["slurm_job"]]
    monitor.wait_for_end(run)
    assert log_of(run) == b"once\n"


def test_a_job_that_has_ended_is_not_submitted_again_once_slurm_forgot_it(
    monitor: Monitor, slurm: Slurm, tmp_path: Path
) -> None:
    folder = programs(tmp_path / "programs", squeue="exit 0")
    target = factories.cluster(slurm, programs=folder)
    run = started("print('once')", target=target)
    monitor.wait_for_end(run)
    (job_folder(run) / "slurm.json").unlink()
    launcher = launcher_of(target)
    assert launcher.start(run.run_id, whole_spec(run)) == {"slurm_job": None}
    assert len(slurm.ids(job_name(run))) == 1


def test_submissions_at_the_same_time_make_one_job(
    target: ComputeTarget, slurm: Slurm
) -> None:
    run = placed(WAITS, target=target, launch=HUGE)
    launcher, spec = launcher_of(target), whole_spec(run)
    host_of(target).stage(run.run_id, spec, source_of(run.snapshot))
    with ThreadPoolExecutor(4) as pool:
        starts = pool.map(lambda _: launcher.start(run.run_id, spec), range(4))
    [number] = {handle["slurm_job"] for handle in starts}
    assert slurm.ids(job_name(run)) == [number]


def test_what_sbatch_refuses_is_told(monitor: Monitor, slurm: Slurm) -> None:
    target = factories.cluster(slurm, partition="none")
    run = started("print(1)", target=target)
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.SUBMIT_FAILED)
    assert run.error == (
        "Slurm says: invalid partition specified: none; Batch job submission failed:"
        " Invalid partition name specified."
    )


def test_a_job_that_is_cancelled_outside_before_it_begins(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started("print(1)", target=target, launch=HUGE)
    slurm.must("scancel", *slurm.ids(job_name(run)))
    sights.look(target)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.FAILED
    assert error_of(run) == (
        "For Slurm the job is over (CANCELLED). It was cancelled in Slurm, outside the"
        " portal."
    )


def test_a_job_that_is_cancelled_outside_while_it_runs(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(WAITS, target=target)
    ready(monitor, run)
    slurm.must("scancel", *slurm.ids(job_name(run)))
    monitor.wait_for_end(run)
    assert run.status == RunStatus.FAILED
    # Slurm signals the runner and the script at once.
    assert run.end_reason in (EndReason.HOST_SIGNAL, EndReason.SIGNAL)
    assert error_of(run).endswith(" It was cancelled in Slurm, outside the portal.")
    assert log_of(run) == b"ready\n"


def test_a_drained_node_ends_no_run_and_takes_no_other(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(WAITS, target=target)
    ready(monitor, run)
    for node in NODES:
        slurm.drain(node)
    waiting = started("print('at last')", target=target)
    eventually(lambda: "drained" in seen(waiting), "it is told why it waits")
    assert waiting.sight.startswith(
        "Pending: nodes that it needs are down, drained or reserved (ReqNodeNotAvail"
    )
    assert seen(run) == "Running on n1."
    let_go(run)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    for node in NODES:
        slurm.resume(node)
    monitor.wait_for_end(waiting)
    assert waiting.status == RunStatus.COMPLETED


def test_a_node_that_fails_is_told(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(WAITS, target=target)
    ready(monitor, run)
    slurm.kill_node("n1")
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.LOST)
    assert error_of(run).endswith(
        "was ended by something outside the portal. For Slurm it runs on n1 still,"
        " which may have failed."
    )
    slurm.start_node("n1")


def test_a_node_that_slurm_takes_for_failed_is_told(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    run = started(WAITS, target=target)
    ready(monitor, run)
    slurm.give_up("n1")
    monitor.wait_for_end(run)
    assert error_of(run).endswith(" A node of it failed: n1.")


def test_a_time_limit_is_told(
    monitor: Monitor, target: ComputeTarget, slurm: Slurm
) -> None:
    """Slurm looks at its limits twice a minute, so both ways are tried at once."""
    warned = started(WAITS, target=target, launch={"time": "10"})
    ended = started(DEAF, target=target, launch={"time": "4"})
    for run, seconds in ((warned, 80), (ended, 3)):
        ready(monitor, run)
        slurm.set_end(job_name(run), seconds=seconds)
    for run, reason, told in (
        (ended, EndReason.LOST, "It reached Slurm's time limit"),
        (warned, EndReason.HOST_SIGNAL, "was about to be reached."),
    ):
        slurm.wait_for_end(job_name(run))
        monitor.wait_for_end(run)
        assert run.end_reason == reason
        assert told in error_of(run)


def test_a_node_that_does_not_see_the_folder_is_told(
    monitor: Monitor, slurm: Slurm
) -> None:
    target = factories.cluster(slurm, extra="--hold")
    run = started("print(1)", target=target)
    eventually(lambda: "holds it" in seen(run), "it is held")
    away = job_folder(run).with_name("away")
    job_folder(run).rename(away)
    slurm.must("scontrol", "release", *slurm.ids(job_name(run)))
    eventually(lambda: slurm.jobs(job_name(run)) == ["FAILED"], "it has ended")
    away.rename(job_folder(run))
    sights.look(target)
    monitor.wait_for_end(run)
    assert error_of(run) == (
        "For Slurm the job is over (FAILED). The node does not see the working folder"
        " of the machine: have the nodes and the machine share it, under the same path."
    )


def test_a_job_that_slurm_forgot_is_over(target: ComputeTarget) -> None:
    sight = launcher_of(target).look(["never"])["never"]
    assert (sight.words, sight.is_over) == (
        "Slurm does not know the job any more.",
        True,
    )


def test_the_runs_go_on_while_the_portal_is_away(
    target: ComputeTarget, slurm: Slurm
) -> None:
    with following() as first:
        run = started(WAITS, target=target)
        ready(first, run)
    let_go(run)
    eventually(lambda: slurm.jobs(job_name(run)) == ["COMPLETED"], "it has ended")
    with following() as second:
        second.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_of(run) == b"ready\ndone\n"
