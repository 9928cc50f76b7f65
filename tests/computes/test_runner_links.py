"""The runner outside of a container, and the links that a script in it leaves."""

import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from computes.runner import runner
from tests.computes.conftest import MakeJob
from tests.computes.follower import LOG, UNPRIVILEGED, Following
from tests.computes.jobs import JobFolder
from tests.computes.test_runner_follow import WAITS, let_go, start
from tests.waiting import eventually

SECRET = '{"key": "what no script may see"}\n'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the account that the runner has on the host."""
    folder = tmp_path / "host" / "logs"
    folder.mkdir(parents=True)
    for name in ("std_log.txt", "exit.json"):
        (folder / name).write_text(SECRET)
    return folder / "std_log.txt"


def everything(following: Following) -> str:
    files = [bytes(data) for data in following.files.values()]
    sent = b"".join([*files, *following.outputs.values()])
    return sent.decode() + json.dumps(following.finals)


def test_a_link_in_the_place_of_a_stream_is_not_followed(
    make_job: MakeJob, following: Following, secret: Path
) -> None:
    job = start(make_job(WAITS))
    for name in (LOG, "events.jsonl", "resources.jsonl"):
        (job.path / name).unlink(missing_ok=True)
        (job.path / name).symlink_to(secret)
    following.watch(job)
    let_go(job)
    following.final(job)
    assert "no script may see" not in everything(following)
    assert secret.read_text() == SECRET


@pytest.mark.parametrize("name", ["logs", "work", "work/logs", "work/outputs/x"])
def test_a_link_in_the_place_of_a_folder_is_not_followed(
    make_job: MakeJob, following: Following, secret: Path, name: str
) -> None:
    job = start(make_job(WAITS, collect=["outputs", "logs"]))
    let_go(job)
    ended(job)
    place = job.path / name
    if place.exists():
        place.rename(job.path / "aside")
    place.symlink_to(secret.parent.parent if name == "work" else secret.parent)
    following.watch(job)
    following.final(job)
    assert "no script may see" not in everything(following)


def test_a_last_word_is_not_read_through_a_link(
    make_job: MakeJob, following: Following, secret: Path
) -> None:
    job = start(make_job(WAITS))
    let_go(job)
    ended(job)
    (job.path / "exit.json").unlink()
    (job.path / "exit.json").symlink_to(secret)
    following.watch(job)
    following.until(lambda: following.beats > 1, "it is looked at")
    assert "no script may see" not in everything(following)


def test_nothing_is_written_through_a_link(tmp_path: Path, secret: Path) -> None:
    """Whichever names the runner takes for what it is about to write."""
    job = tmp_path / "job"
    job.mkdir()
    for number in range(1, 1 << 16):
        (job / f"cancel.json.{number}").symlink_to(secret)
    for name in ("events.jsonl", "runner.lock", "runner.log"):
        (job / name).symlink_to(secret)
    runner.write_json(str(job / "cancel.json"), {"reason": "It is over."})
    runner.Job(str(job)).event("note", detail="It is over.")
    with runner.Job(str(job)).lock() as lock:
        assert lock is not None
    assert secret.read_text() == SECRET
    assert json.loads((job / "cancel.json").read_text()) == {"reason": "It is over."}


def ended(job: JobFolder) -> None:
    eventually(lambda: job.state() == "ended", "it has ended")


def spoil_lock(job: JobFolder, secret: Path, how: str) -> None:
    lock = job.path / "runner.lock"
    lock.unlink()
    if how == "a folder":
        lock.mkdir()
    else:
        lock.symlink_to(lock if how == "a loop" else secret)


@pytest.mark.parametrize("how", ["a folder", "a loop", "a link"])
def test_a_job_apart_does_not_live_for_ever_without_its_lock(
    make_job: MakeJob, following: Following, secret: Path, how: str
) -> None:
    job = start(make_job(WAITS))
    who = job.read("runner.json")
    spoil_lock(job, secret, how)
    for pid in (who["pid"], who["child"]["pid"]):
        os.kill(pid, signal.SIGKILL)
    (job.path / "runner.json").write_text(json.dumps({**who, "apart": True}))
    following.watch(job)
    assert following.final(job)["reason"] == "lost"
    assert job.state() == "ended"


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_script_can_not_keep_itself_from_being_canceled(
    make_job: MakeJob, what: str
) -> None:
    job = start(make_job(WAITS))
    (job.path / "logs").rename(job.path / "aside")
    if what == "file":
        (job.path / "logs").touch()
    else:
        (job.path / "logs").symlink_to("nowhere")
    job.ask("cancel", "--grace", "0")
    assert job.last_word()["reason"] == "canceled"


@pytest.mark.parametrize("is_apart", [False, True])
def test_a_script_that_locks_its_folder_locks_nobody_out(
    make_job: MakeJob, jobs_folder: Path, *, is_apart: bool
) -> None:
    """Those modes count for whoever is not root."""
    job = start(make_job(WAITS))
    who = job.read("runner.json")
    for pid in (who["pid"], who["child"]["pid"]):
        os.kill(pid, signal.SIGKILL)
    (job.path / "runner.json").write_text(json.dumps({**who, "apart": is_apart}))
    job.path.chmod(0)
    with closing(Following(jobs_folder, prefix=UNPRIVILEGED)) as following:
        following.watch(job)
        assert following.final(job, timeout=10)["reason"] == "lost"
