"""What a script may do to the files of its job, and yet harms no other."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.follower import LOG, Following
from tests.computes.test_runner_follow import WAITS, assert_mirrored, let_go, start


def test_what_a_script_does_to_its_folder_does_not_end_the_follower(
    make_job: MakeJob, following: Following
) -> None:
    """Files of the runner replaced by folders, links and FIFOs."""
    spoiled = start(make_job(WAITS))
    other = start(make_job(WAITS))
    following.watch(spoiled)
    following.watch(other)
    following.until(lambda: following.bytes_of(spoiled), "its log")
    for name in ("events.jsonl", "runner.lock", LOG):
        (spoiled.path / name).unlink()
    (spoiled.path / "events.jsonl").mkdir()
    (spoiled.path / "runner.lock").symlink_to("runner.lock")
    os.mkfifo(spoiled.path / LOG)
    let_go(spoiled)
    word = following.final(spoiled)
    assert word["exit_code"] == 0
    let_go(other)
    following.final(other)
    assert_mirrored(following, other)


def test_a_last_word_of_the_script_s_own_ends_nothing(
    make_job: MakeJob, following: Following
) -> None:
    job = start(make_job(WAITS))
    following.watch(job)
    forged = {"reason": "exited", "exit_code": 0, "ended": 1.0}
    (job.path / "exit.json").write_text(json.dumps(forged))
    assert job.state() == "running"
    assert "still runs" in job.refusal("clean")
    let_go(job)
    assert following.final(job) == job.read("exit.json") != forged


def test_a_huge_last_word_of_the_script_s_own_is_not_even_read(
    make_job: MakeJob, following: Following
) -> None:
    """Nor does it count if the true one is written meanwhile."""
    job = start(make_job(WAITS))
    (job.path / "exit.json").write_text('{"forged": [' + "{}," * 5_000_000 + "0]}")
    following.watch(job)
    following.until(lambda: following.bytes_of(job), "its log")
    let_go(job)
    assert following.final(job).get("exit_code") == 0
    status = Path(f"/proc/{following.process.pid}/status").read_text()
    [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    assert int(peak.split()[1]) < 100_000


@pytest.mark.parametrize(
    "what",
    ["[" * 100_000, "9" * 10_000, '{"pid": {}}', "", "a folder"],
    ids=["deep", "large", "of other types", "empty", "a folder"],
)
@pytest.mark.parametrize("name", ["exit.json", "runner.json"])
def test_nonsense_in_a_file_of_the_runner_ends_only_its_own_job(
    make_job: MakeJob, following: Following, name: str, what: str
) -> None:
    spoiled, other = start(make_job(WAITS)), start(make_job(WAITS))
    following.watch(spoiled)
    following.watch(other)
    supervisor = spoiled.supervisor()
    script = spoiled.read("runner.json")["child"]["pid"]
    (spoiled.path / name).unlink(missing_ok=True)
    if what == "a folder":
        (spoiled.path / name).mkdir()
    else:
        (spoiled.path / name).write_text(what)
    os.kill(supervisor, signal.SIGKILL)
    os.kill(script, signal.SIGKILL)
    assert following.final(spoiled).get("exit_code") is None
    let_go(other)
    assert following.final(other)["exit_code"] == 0


@pytest.mark.parametrize("name", ["exit.json", "runner.json", "cancel.json"])
def test_a_fifo_in_place_of_a_file_of_the_runner_harms_nobody(
    make_job: MakeJob, following: Following, name: str
) -> None:
    """Somebody keeps it open, so that whoever reads it is told to come again."""
    spoiled, other = start(make_job(WAITS)), start(make_job(WAITS))
    os.mkfifo(spoiled.path / "fifo")
    kept = os.open(spoiled.path / "fifo", os.O_RDWR)
    (spoiled.path / "fifo").rename(spoiled.path / name)
    following.watch(spoiled)
    following.watch(other)
    following.until(lambda: following.bytes_of(other), "both are looked at")
    if name != "cancel.json":
        let_go(spoiled)
    word = following.final(spoiled)
    assert word["reason"] == ("canceled" if name == "cancel.json" else "exited")
    let_go(other)
    assert following.final(other)["exit_code"] == 0
    os.close(kept)


def test_a_job_that_can_not_be_followed_is_dropped_alone(
    make_job: MakeJob, following: Following
) -> None:
    dropped, other = start(make_job(WAITS)), start(make_job(WAITS))
    following.watch(other)
    following.tell(watch="job_0", have={LOG: "no number"})
    following.until(lambda: "dropped" in str(following.headers), "it is dropped")
    following.watch(dropped)
    for job in (dropped, other):
        let_go(job)
        following.final(job)
        assert_mirrored(following, job)
