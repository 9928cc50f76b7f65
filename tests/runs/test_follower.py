"""Runs with real jobs are followed to their end, whatever happens on the way."""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from computes.frames import Frame
from computes.hosts.local import LocalHost, PipeStream
from environments.models import Build
from runs import execution, follower
from runs.followed import Followed
from runs.mirror import last_word, log_path, mirror_folder
from runs.notices import Announcer
from runs.status import EndReason, RunStatus
from tests import factories
from tests.computes.jobs import RUNNER_COMMAND
from tests.services.monitor import (
    Monitor,
    following,
    job_folder,
    placed,
    started,
    states,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
LONG = "import time\nprint('ready', flush=True)\ntime.sleep(60)"


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
        monitor.wait(_kill_followers, "the runner's follower was killed")
    monitor.wait_for_end(run)
    assert log_path(run.run_id).read_text().split() == [str(i) for i in range(100)]


def _kill_followers() -> int:
    return _signal_followers(signal.SIGKILL)


def _signal_followers(number: int) -> int:
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"follow" in words and os.fsencode(settings.JOBS_FOLDER) in words:
            os.kill(int(process.name), number)
            found += 1
    return found


def test_a_target_that_is_not_heard_from_is_not_taken_for_dead(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new stream is frozen too, so nobody can tell; then they are left alone."""
    monkeypatch.setattr(follower, "_SILENCE", 0.5)
    monkeypatch.setattr(follower, "_NOT_RESPONDING_AFTER", 1.0)
    run = started("import time\nfor i in range(250): print(i); time.sleep(0.02)")
    monitor.wait_for(run, RunStatus.RUNNING)

    def freeze() -> bool:
        _signal_followers(signal.SIGSTOP)
        run.refresh_from_db()
        return run.status == RunStatus.NOT_RESPONDING

    monitor.wait(freeze, "the run is not responding")
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_text().split() == [str(i) for i in range(250)]
    after = states(run)[states(run).index("NotResponding") :]
    assert after[1] in ("Running", "Completed")


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
    with contextlib.suppress(ProcessLookupError):
        os.kill(json.loads((gone / "runner.json").read_text())["child"]["pid"], 9)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.LOST)
    assert run.error.startswith("The folder of the run is gone")


def test_a_last_word_that_is_none_ends_the_run_as_lost(monitor: Monitor) -> None:
    """Written by a script that has killed its runner."""
    run = started(
        "import json, os, signal\n"
        "print('all of it', flush=True)\n"
        "runner = json.load(open('../runner.json'))\n"
        "word = {'reason': 'canceled', 'ended': 1.5, 'exit_code': 'abc'}\n"
        "json.dump(word, open('../exit.json', 'w'))\n"
        "os.kill(runner['pid'], signal.SIGKILL)\n"
    )
    monitor.wait_for_end(run)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.LOST)
    assert log_path(run.run_id).read_text() == "all of it\n"
    assert last_word(run.run_id) is None


DROPS_A_JOB = """
import json, os, sys
command = b""
while not command.endswith(b"\\n"):
    command += os.read(0, 1)
dropped = {"job": json.loads(command)["watch"], "dropped": "for a test"}
os.write(1, json.dumps(dropped).encode() + b"\\n")
os.execv(sys.argv[1], sys.argv[1:])
"""


class DroppingHost(LocalHost):
    """Its streams drop the job that is watched first, once."""

    def follow(self) -> PipeStream:
        runner = [*RUNNER_COMMAND, "follow", str(settings.JOBS_FOLDER)]
        return PipeStream([sys.executable, "-c", DROPS_A_JOB, *runner])


def test_a_run_that_the_runner_drops_is_followed_anew() -> None:
    run = started("print('all of it')")
    with following(DroppingHost(settings.JOBS_FOLDER)) as monitor:
        monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_text() == "all of it\n"
    assert run.events.filter(detail__contains="the portal keeps trying").exists()


def test_outputs_that_are_not_kept_are_told_of_but_not_by_thousands() -> None:
    run = placed()
    followed = Followed(run, Announcer(), set())
    for number in range(30):
        name, why = f"outputs/{number}", "Permission denied"
        header = {"output": name, "left_out": why}
        followed.take(Frame(header=header, payload=b""))
    notes = run.events.filter(status="").values_list("detail", flat=True)
    assert len(notes) == 11
    assert notes[0] == "The output outputs/0 is not kept: Permission denied."


def test_an_output_that_is_not_kept_is_told_of_once_however_often_it_is_tried(
    monitor: Monitor,
) -> None:
    """A folder too deep to be looked into, of a run whose end can't be written."""
    run = placed(
        "import os\nfor name in ['outputs'] + 20 * ['x' * 250]:\n"
        "    os.makedirs(name, exist_ok=True)\n"
        "    os.chdir(name)\n"
    )
    mirror = mirror_folder(run.run_id)
    (mirror / "exit.json").mkdir(parents=True)
    execution.start_run(run.pk)
    monitor.wait(lambda: len([*mirror.glob("exit.json.*")]) > 1, "it is tried again")
    (mirror / "exit.json").rmdir()
    monitor.wait_for_end(run)
    assert run.events.filter(detail__contains="is not kept").count() == 1


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


def test_a_script_makes_up_nothing_of_what_is_built_on_its_machine(
    monitor: Monitor,
) -> None:
    ready = Build.objects.create(
        machine=factories.target().its_machine,
        key="k",
        state=Build.State.READY,
        used_at=timezone.now(),
    )
    run = started(
        "import json, time\n"
        "with open('../events.jsonl', 'a') as file:\n"
        "    for key in ('k', *map(str, range(100))):\n"
        "        event = {'event': 'environment', 'state': 'failed', 'key': key}\n"
        "        file.write(json.dumps({**event, 'time': time.time()}) + '\\n')\n"
    )
    monitor.wait_for_end(run)
    assert [*Build.objects.values_list("key", "state")] == [("k", "ready")]
    assert run.target.its_machine == ready.machine
