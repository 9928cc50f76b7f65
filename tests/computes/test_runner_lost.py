"""What becomes of a job whose supervisor was killed, and who is taken for whom."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.follower import UNPRIVILEGED, Following
from tests.computes.jobs import JobFolder, is_alive
from tests.waiting import eventually

WAITS = """
import os
print("ready", flush=True)
os.read(os.open("go", os.O_RDONLY), 1)
print("done", flush=True)
"""


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has nothing to do with any job."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def start(job: JobFolder) -> JobFolder:
    os.mkfifo(job.work / "go")
    job.start()
    job.says("ready")
    # Written again once the script is known.
    eventually(lambda: "started" in job.events(), "the script is noted")
    return job


def let_go(job: JobFolder) -> None:
    (job.work / "go").write_text("x")


def edit(job: JobFolder, name: str, **changes: Any) -> None:
    (job.path / name).write_text(json.dumps({**job.read(name), **changes}))


def test_a_script_goes_on_without_its_supervisor_and_ends_as_lost(
    make_job: MakeJob, following: Following
) -> None:
    job = start(make_job(WAITS))
    following.watch(job)
    job.kill_supervisor()
    following.until(lambda: "note" in job.events(), "the script's loneliness is noted")
    assert job.state() == "running"
    let_go(job)
    word = following.final(job)
    assert (word["reason"], word["exit_code"]) == ("lost", None)
    assert word["detail"] == (
        "The exit code can't be known, since the runner was ended by something outside"
        " the portal."
    )
    assert following.bytes_of(job) == job.log() == b"ready\ndone\n"
    assert word["log"]["bytes"] == 11
    assert job.events().count("note") == 1
    assert job.state() == "ended"


def test_what_a_lost_script_leaves_behind_is_ended(
    make_job: MakeJob, following: Following
) -> None:
    job = start(
        make_job(
            """
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        open("../daemon", "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists("../daemon"):
    pass
"""
            + WAITS
        )
    )
    daemon = int((job.path / "daemon").read_text())
    job.kill_supervisor()
    let_go(job)
    following.watch(job)
    word = following.final(job)
    assert word["reason"] == "lost"
    assert [process["pid"] for process in word["receipt"]["processes"]] == [daemon]
    assert not is_alive(daemon)


def test_a_script_without_supervisor_can_be_canceled(make_job: MakeJob) -> None:
    job = start(make_job("import os; os.fork()\n" + WAITS))
    job.kill_supervisor()
    job.ask("cancel", "--grace", "5")
    word = job.last_word()
    assert word["reason"] == "canceled"
    assert len(word["receipt"]["processes"]) == 2
    assert word["receipt"]["left"] == 0
    assert job.state() == "ended"


def test_a_start_after_the_supervisor_was_killed_starts_nothing(
    make_job: MakeJob,
) -> None:
    job = start(make_job(WAITS))
    job.kill_supervisor()
    job.start()
    assert job.events().count("started") == 1
    let_go(job)
    eventually(lambda: job.state() == "lost", "the script has ended")
    job.start()
    assert job.log() == b"ready\ndone\n"


def test_a_script_whose_number_was_not_written_yet_still_counts(
    make_job: MakeJob,
) -> None:
    """The supervisor was killed right after it had started the script."""
    job = start(make_job(WAITS))
    job.kill_supervisor()
    who = job.read("runner.json")
    del who["child"]
    (job.path / "runner.json").write_text(json.dumps(who))
    assert job.state() == "running"
    job.ask("cancel")
    word = job.last_word()
    assert word["reason"] == "canceled"
    assert len(word["receipt"]["processes"]) == 1


def kill_both(job: JobFolder) -> None:
    job.kill_supervisor()
    let_go(job)
    eventually(lambda: job.state() == "lost", "the script has ended")


def test_a_later_process_with_the_same_number_is_not_taken_for_the_job(
    make_job: MakeJob, bystander: "subprocess.Popen[bytes]"
) -> None:
    job = start(make_job(WAITS))
    kill_both(job)
    who = job.read("runner.json")
    other = {**who["child"], "pid": bystander.pid, "start_time": 1}
    edit(job, "runner.json", pid=bystander.pid, start_time=1, child=other)
    assert job.state() == "lost"
    job.ask("cancel", "--grace", "0")
    word = job.last_word()
    assert word["reason"] == "lost"
    assert word["receipt"] is None
    assert bystander.poll() is None


def test_a_process_of_another_boot_is_not_taken_for_the_job(
    make_job: MakeJob, bystander: "subprocess.Popen[bytes]", following: Following
) -> None:
    job = start(make_job(WAITS))
    kill_both(job)
    began = start_time(bystander.pid)
    other = {"pid": bystander.pid, "start_time": began, "boot_id": "another boot"}
    edit(job, "runner.json", **other, child=other)
    assert job.state() == "lost"
    following.watch(job)
    word = following.final(job)
    assert word["reason"] == "lost"
    assert word["detail"] == (
        "The exit code can't be known, since the machine restarted."
    )
    assert bystander.poll() is None


def test_a_process_is_known_by_its_number_start_and_boot(
    make_job: MakeJob, bystander: "subprocess.Popen[bytes]"
) -> None:
    """The opposite of the two above, to see that they could fail."""
    job = start(make_job(WAITS))
    kill_both(job)
    edit(job, "runner.json", pid=bystander.pid, start_time=start_time(bystander.pid))
    assert job.state() == "running"


def start_time(pid: int) -> int:
    facts = Path(f"/proc/{pid}/stat").read_bytes()
    return int(facts.rpartition(b")")[2].split()[19])


@pytest.mark.parametrize("name", ["exit.json", "exit.json.%d"])
def test_a_folder_in_the_way_of_the_last_word_is_moved_aside(
    make_job: MakeJob, name: str
) -> None:
    """Removed it can't be, nor what the runner writes first."""
    job = make_job(f"""
import os
folder = "../{name}".replace("%d", str(os.getppid()))
os.makedirs(folder + "/a/b")
os.chmod(folder + "/a", 0o555)
""")
    subprocess.run([*UNPRIVILEGED, *job.command("start")], check=True)
    eventually((job.path / "exit.json").is_file, "the last word is written")
    assert job.last_word()["exit_code"] == 0
    eventually(lambda: job.state() == "ended", "the supervisor has gone")
    subprocess.run([*UNPRIVILEGED, *job.command("clean")], check=True)
    assert not job.path.exists()


def test_clean_refuses_a_job_that_runs(make_job: MakeJob) -> None:
    job = start(make_job(WAITS))
    assert job.refusal("clean") == "The job still runs: cancel it first.\n"
    job.kill_supervisor()
    assert job.refusal("clean") == "The job still runs: cancel it first.\n"
    assert job.log() == b"ready\n"


def test_clean_removes_folders_that_can_not_be_written_to(make_job: MakeJob) -> None:
    job = make_job("""
import os
os.makedirs("outputs/a/b")
open("outputs/a/b/file", "w").close()
os.symlink("/etc", "outputs/a/link")
os.mkfifo("outputs/a/fifo")
open(b"outputs/odd \\xff\\n name", "w").close()
for path in ("outputs/a/b/file", "outputs/a/b", "outputs/a", "outputs"):
    os.chmod(path, 0)
""")
    assert job.run()["exit_code"] == 0
    subprocess.run([*UNPRIVILEGED, *job.command("clean")], check=True)
    assert not job.path.exists()
    assert job.state() == "absent"
    job.ask("clean")
