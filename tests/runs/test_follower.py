"""Runs on this machine, from their submission to their end, followed as they go.

The runner and its jobs are real; the tests do what worker and monitor do.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from computes.hosts import host_of
from computes.hosts.local import LocalHost
from runs import execution, services
from runs.follower import Follower
from runs.mirror import exit_record, log_path, mirror_folder
from runs.models import Run
from runs.status import EndReason, RunStatus
from runs.storage import lay_out, read_manifest, store
from tests import factories
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
LONG = "import time\nprint('ready', flush=True)\ntime.sleep(60)"


class Monitor:
    """Follows all runs, and looks at them as often as a test does."""

    def __init__(self) -> None:
        self._followers: list[Follower] = []

    def begin(self) -> None:
        follower = Follower(LocalHost(settings.JOBS_FOLDER))
        self._followers.append(follower)
        follower.start()

    def wait(self, look: Callable[[], object], what: str) -> None:
        def look_again() -> bool:
            runs = Run.objects.followed().select_related("target")
            for follower in self._followers:
                follower.sync(runs.all())
            return bool(look())

        eventually(look_again, what)

    def wait_for(self, run: Run, *statuses: RunStatus) -> None:
        def has_come() -> bool:
            run.refresh_from_db()
            return run.status in statuses

        self.wait(has_come, f"{run.run_id} is {statuses}")

    def wait_for_end(self, run: Run) -> None:
        self.wait_for(run, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED)

    def stop(self, *, keep: int = 0) -> None:
        while len(self._followers) > keep:
            self._followers.pop().stop()


@pytest.fixture(scope="module")
def following() -> Iterator[Monitor]:
    monitor = Monitor()
    monitor.begin()
    yield monitor
    monitor.stop()


@pytest.fixture
def monitor(following: Monitor) -> Iterator[Monitor]:
    yield following
    for run in Run.objects.active():
        services.cancel_run(run, by="the test")
    following.wait(lambda: not Run.objects.active().exists(), "all runs have ended")
    following.stop(keep=1)


def placed(code: str = "", **changes: object) -> Run:
    """A run that has its place, and that no worker has taken up yet."""
    run = factories.submit(code, **{"target": factories.target(max_runs=50), **changes})
    assert run.status == RunStatus.PREPARING
    return run


def started(code: str = "", **changes: object) -> Run:
    run = placed(code, **changes)
    execution.start_run(run.pk)
    return run


def states(run: Run) -> list[str]:
    return list(run.events.exclude(status="").values_list("status", flat=True))


def job_folder(run: Run) -> Path:
    folder: Path = settings.JOBS_FOLDER / run.run_id
    return folder


def test_a_run_passes_through_its_states(monitor: Monitor) -> None:
    run = started("import time\nprint('hello')\ntime.sleep(0.5)")
    monitor.wait_for(run, RunStatus.RUNNING)
    monitor.wait_for_end(run)
    assert states(run) == [
        "Queued",
        "Preparing",
        "Starting",
        "Running",
        "Finalizing",
        "Completed",
    ]
    assert log_path(run.run_id).read_bytes() == b"hello\n"
    assert run.exit_code == 0
    assert run.started_at
    assert run.ended_at
    assert run.duration == (run.ended_at - run.started_at).total_seconds()
    assert run.error == ""


def test_the_job_folder_goes_once_all_is_mirrored(monitor: Monitor) -> None:
    run = started("open('outputs/a', 'w').write('x')")
    execution.clean_run(run.pk)
    assert job_folder(run).exists()
    monitor.wait_for_end(run)
    execution.clean_run(run.pk)
    assert not job_folder(run).exists()
    assert (mirror_folder(run.run_id) / "files/outputs/a").read_text() == "x"


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        ("exit(3)", EndReason.EXIT_CODE, "The script ended with exit code 3."),
        (
            "import os; os.kill(os.getpid(), 6)",
            EndReason.SIGNAL,
            "The script was ended by SIGABRT.",
        ),
    ],
)
def test_a_failure_says_why(
    monitor: Monitor, code: str, reason: EndReason, error: str
) -> None:
    run = started(code)
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, reason)
    assert run.error == error


def test_a_run_that_takes_too_long_is_canceled(monitor: Monitor) -> None:
    run = started(LONG, max_run_duration_seconds=1)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    assert run.error == (
        "The run reached its maximum duration. 1 process was ended, none left."
    )


# Submissions that were killed, or came twice.


def test_a_second_submission_starts_no_second_script(monitor: Monitor) -> None:
    run = started("print('once')")
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    execution.start_run(run.pk)
    assert log_path(run.run_id).read_bytes() == b"once\n"
    assert states(run)[-1] == "Completed"


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
    lay_out(run, job_folder(run) / "work")


def _staged(run: Run) -> None:
    spec = execution.job_spec(run)
    work = job_folder(run) / "work"
    host_of(run.target).stage(run.run_id, spec, lambda _: lay_out(run, work))


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
    (job_folder(run) / "job.json").unlink()
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
    record = exit_record(run.run_id)
    assert record
    signals = [each["signal"] for each in record["receipt"]["processes"][0]["signals"]]
    assert signals == ["SIGTERM"]
    assert not services.cancel_run(run, by="ada")


def test_a_script_that_ends_well_in_spite_of_a_cancel_is_completed(
    monitor: Monitor,
) -> None:
    run = started("print('done')")
    services.cancel_run(run, by="ada")
    eventually((job_folder(run) / "exit.json").exists, "the script has ended")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED


# What may happen to the follower, and to what it follows.


def test_two_followers_end_a_run_once(monitor: Monitor) -> None:
    monitor.begin()
    run = started("for i in range(20000): print(i)")
    monitor.wait_for_end(run)
    expected = "".join(f"{i}\n" for i in range(20000))
    assert log_path(run.run_id).read_text() == expected
    assert len(states(run)) == len(set(states(run)))


def test_a_stream_that_breaks_is_opened_again(monitor: Monitor) -> None:
    run = started("import time\nfor i in range(100): print(i); time.sleep(0.02)")
    for _ in range(3):
        monitor.wait(lambda: _kill_followers(), "the runner's follower was killed")
    monitor.wait_for_end(run)
    assert log_path(run.run_id).read_text().split() == [str(i) for i in range(100)]


def _kill_followers() -> int:
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"follow" in words and os.fsencode(settings.JOBS_FOLDER) in words:
            os.kill(int(process.name), signal.SIGKILL)
            found += 1
    return found


def test_a_log_that_the_script_shortens_is_mirrored_as_it_ends(
    monitor: Monitor,
) -> None:
    run = started(
        "import os, time\n"
        "print('x' * 100_000, flush=True); time.sleep(0.7)\n"
        "os.ftruncate(1, 0); print('the rest')"
    )
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_text() == "the rest\n"
    assert not run.events.filter(detail__contains="is not the one").exists()


def test_outputs_are_mirrored_as_they_end(monitor: Monitor) -> None:
    run = started(
        "import os, pathlib, time\n"
        "out = pathlib.Path('outputs')\n"
        "(out / 'grows').write_bytes(b'a' * 3_000_000)\n"
        "(out / 'shrinks').write_bytes(b'b' * 3_000_000)\n"
        "(out / 'goes').write_bytes(b'c')\n"
        "(out / 'changes').write_bytes(b'd' * 1000)\n"
        "(out / 'folder').mkdir(); (out / 'folder' / 'file').write_bytes(b'e')\n"
        "pathlib.Path('logs', 'own.log').write_bytes(b'f')\n"
        "time.sleep(2.2)\n"
        "with (out / 'grows').open('ab') as file: file.write(b'z' * 1_000_000)\n"
        "os.truncate(out / 'shrinks', 1)\n"
        "(out / 'goes').unlink()\n"
        "(out / 'changes').write_bytes(b'D' * 1000)\n"
        "(out / 'folder' / 'file').unlink(); (out / 'folder').rmdir()\n"
        "(out / 'folder').write_bytes(b'a file now')\n"
    )
    monitor.wait_for_end(run)
    assert _contents(mirror_folder(run.run_id) / "files") == {
        "outputs/grows": b"a" * 3_000_000 + b"z" * 1_000_000,
        "outputs/shrinks": b"b",
        "outputs/changes": b"D" * 1000,
        "outputs/folder": b"a file now",
        "logs/own.log": b"f",
    }


def _contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_removed_job_folder_ends_the_run_as_lost(monitor: Monitor) -> None:
    run = started(LONG)
    monitor.wait_for(run, RunStatus.RUNNING)
    gone = job_folder(run).rename(job_folder(run).with_name("elsewhere"))
    monitor.wait_for_end(run)
    os.kill(json.loads((gone / "runner.json").read_text())["child"]["pid"], 9)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.LOST)
    assert run.error.startswith("The folder of the run is gone")


def test_a_script_that_spoils_its_events_harms_nobody(monitor: Monitor) -> None:
    spoilt = started(
        "with open('../events.jsonl', 'ab') as file:\n"
        "    file.write(b'5\\n[]\\n{}\\n{\"event\": 1}\\n\\xff\\n')\n"
        '    file.write(b\'{"event": "exited", "time": 1e999}\\n\')\n'
        '    file.write(b\'{"event": "exited", "time": "now"}\\n\')\n'
        "    file.write(b'[' * 100_000 + b'\\n')\n"
    )
    other = started("print('well')")
    monitor.wait_for_end(spoilt)
    monitor.wait_for_end(other)
    assert (spoilt.status, other.status) == ("Completed", "Completed")
