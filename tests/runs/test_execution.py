"""Submissions and cancels of real jobs, killed at each step and come twice."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from rq.timeouts import JobTimeoutException

from computes.runner.staging import Objects
from computes.targets import host_of
from runs import execution, services
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.status import EndReason, RunStatus
from runs.storage import read_manifest, source_of, store
from tests import factories
from tests.services.monitor import (
    Monitor,
    job_folder,
    placed,
    spec_of,
    started,
    states,
)
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
LONG = "import time\nprint('ready', flush=True)\ntime.sleep(60)"


def test_a_second_submission_starts_no_second_script(monitor: Monitor) -> None:
    run = started("print('once')")
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    execution.start_run(run.pk)
    assert log_path(run.run_id).read_bytes() == b"once\n"
    assert states(run)[-1] == "Completed"


def test_a_submission_that_takes_too_long_for_a_worker_is_taken_up_again(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = placed("print('once')")

    def stage(*_: object) -> None:
        raise JobTimeoutException("Too long.")

    with monkeypatch.context() as patched, pytest.raises(JobTimeoutException):
        patched.setattr(execution, "_stage", stage)
        execution.start_run(run.pk)
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED


def test_submissions_at_once_start_one_script(monitor: Monitor) -> None:
    """As if no lease had kept them apart."""
    run = placed("print('once')")
    together = threading.Barrier(4)

    def submit() -> None:
        stale = Run.objects.select_related("target", "environment").get(pk=run.pk)
        together.wait()
        execution._submit(stale)
        connection.close()

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.wait_for_end(run)
    assert log_path(run.run_id).read_bytes() == b"once\n"


def _made_folder(run: Run) -> None:
    job_folder(run).mkdir(parents=True)


def _laid_out_half(run: Run) -> None:
    fresh = job_folder(run) / "work.new"
    fresh.mkdir(parents=True)
    (fresh / "train.py").write_text("half a fi")


def _laid_out(run: Run) -> None:
    files = source_of(run.snapshot)
    objects = Objects(str(files.objects))
    objects.lay_out(files.entries, str(job_folder(run) / "work"))


def _staged(run: Run) -> None:
    host = host_of(run.target)
    spec = spec_of(run)
    host.stage(run.run_id, spec, source_of(run.snapshot))


def _moved(run: Run) -> None:
    _staged(run)
    run.move(RunStatus.STARTING)


def _begun(run: Run) -> None:
    _moved(run)
    host_of(run.target).start(run.run_id)


@pytest.mark.parametrize(
    "killed_after", [_made_folder, _laid_out_half, _laid_out, _staged, _moved, _begun]
)
def test_a_killed_submission_is_taken_up(
    monitor: Monitor, killed_after: Callable[[Run], None]
) -> None:
    run = placed("print('once')")
    killed_after(run)
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == b"once\n"


def test_a_run_that_ended_before_its_submission_was_taken_up(monitor: Monitor) -> None:
    run = placed("print('once')")
    _begun(run)
    monitor.wait_for_end(run)
    execution.clean_run(run.pk)
    execution.start_run(run.pk)
    assert run.status == RunStatus.COMPLETED
    assert not job_folder(run).exists()


def test_a_submission_that_fails_ends_the_run_and_frees_its_place() -> None:
    target = factories.target(max_runs=1)
    broken = factories.submit("print('a file of which the store has lost the bytes')")
    waiting = factories.submit(target=target)
    manifest = read_manifest(broken.snapshot)
    store().path(manifest.files[0].sha256).unlink()
    execution.start_run(broken.pk)
    broken.refresh_from_db()
    waiting.refresh_from_db()
    assert (broken.status, broken.end_reason) == ("Failed", EndReason.SUBMIT_FAILED)
    assert broken.error
    assert waiting.status == RunStatus.PREPARING


def test_a_job_that_can_not_be_started_fails(monitor: Monitor) -> None:
    run = placed()
    _moved(run)
    (job_folder(run) / "job.json").write_text("{")
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == ("Failed", EndReason.SUBMIT_FAILED)
    assert "There is no job.json" in run.error


def test_trouble_of_a_submission_ends_no_script_that_runs(monitor: Monitor) -> None:
    run = placed("import time\ntime.sleep(1)\nprint('done')")
    _begun(run)
    run = execution._find(run.pk) or run
    execution._fail(run, "The network broke.")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert run.events.filter(detail__contains="The network broke.").exists()


# Cancels.


@pytest.mark.parametrize("killed_after", [_made_folder, _laid_out, _staged])
def test_cancel_while_it_is_prepared(
    monitor: Monitor, killed_after: Callable[[Run], None]
) -> None:
    run = placed("print('never')")
    killed_after(run)
    assert services.cancel_run(run, by="ada")
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    execution.start_run(run.pk)
    assert run.status == RunStatus.CANCELED
    assert run.error == "The run was canceled. The script had not been started."
    assert not log_path(run.run_id).exists()


def test_cancel_before_anything_is_on_the_target(monitor: Monitor) -> None:
    run = placed("print('never')")
    assert services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED


def test_cancel_between_staging_and_start(monitor: Monitor) -> None:
    run = placed("print('never')")
    _moved(run)
    assert services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    host_of(run.target).start(run.run_id)
    assert run.status == RunStatus.CANCELED
    assert not log_path(run.run_id).exists()


def test_cancel_while_it_runs_leaves_a_receipt(monitor: Monitor) -> None:
    run = started(LONG)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    assert services.cancel_run(run, by="ada")
    assert not services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    assert run.error == "The run was canceled. 1 process was ended, none left."
    word = last_word(run.run_id)
    assert word
    assert word.receipt
    assert [each.signal for each in word.receipt.processes[0].signals] == ["SIGTERM"]
    assert not services.cancel_run(run, by="ada")


def test_a_script_that_ends_well_in_spite_of_a_cancel_is_completed(
    monitor: Monitor,
) -> None:
    run = started("print('done')")
    services.cancel_run(run, by="ada")
    eventually((job_folder(run) / "exit.json").exists, "the script has ended")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
