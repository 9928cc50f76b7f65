"""`runner follow`: every byte once and in order, then the last word."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from computes.frames import FrameReader
from tests.computes.conftest import MakeJob
from tests.computes.follower import LOG, Following
from tests.computes.jobs import RUNNER_COMMAND, JobFolder, sha256
from tests.waiting import eventually

CHATTY = """
import os, random, sys, time
rnd = random.Random(sys.argv[1])
for _ in range(60):
    data = rnd.randbytes(rnd.choice([1, 50, 5_000, 300_000])) + b"\\n"
    while data:
        data = data[os.write(rnd.choice([1, 2]), data):]
    time.sleep(rnd.random() * 0.01)
"""
WAITS = """
import os
print("ready", flush=True)
os.read(os.open("go", os.O_RDONLY), 1)
print("done", flush=True)
"""
STREAMS = (LOG, "events.jsonl", "resources.jsonl")


def start(job: JobFolder) -> JobFolder:
    os.mkfifo(job.work / "go")
    job.start()
    job.says("ready")
    return job


def let_go(job: JobFolder) -> None:
    (job.work / "go").write_text("x")


def assert_mirrored(following: Following, job: JobFolder) -> None:
    for name in STREAMS:
        path = job.path / name
        expected = path.read_bytes() if path.exists() else b""
        assert following.bytes_of(job, name) == expected, name


def test_all_of_several_jobs_arrives_before_their_last_words(
    make_job: MakeJob, following: Following
) -> None:
    jobs = [make_job(CHATTY, str(seed)) for seed in range(4)]
    for job in jobs:
        following.watch(job)
        job.start()
    for job in jobs:
        word = following.final(job)
        assert word == job.read("exit.json")
        assert word["log"]["sha256"] == sha256(following.bytes_of(job))
        assert_mirrored(following, job)


def test_a_job_that_ended_long_ago_is_sent_as_a_whole(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job(CHATTY, "1")
    job.run()
    following.watch(job)
    following.final(job)
    assert_mirrored(following, job)


def test_two_followers_get_the_same(
    make_job: MakeJob, following: Following, jobs_folder: Path
) -> None:
    job = make_job(CHATTY, "2")
    other = Following(jobs_folder)
    following.watch(job)
    job.start()
    other.watch(job)
    assert following.final(job) == other.final(job)
    assert_mirrored(following, job)
    assert_mirrored(other, job)
    other.close()


def test_a_follower_goes_on_from_what_the_portal_has(
    make_job: MakeJob, following: Following
) -> None:
    job = start(make_job(WAITS))
    events = len((job.path / "events.jsonl").read_bytes())
    following.watch(job, have={LOG: 4, "events.jsonl": events})
    following.until(lambda: following.bytes_of(job) == b"y\n", "the rest arrives")
    let_go(job)
    following.final(job)
    assert following.bytes_of(job) == b"y\ndone\n"
    assert b"exited" in following.bytes_of(job, "events.jsonl")
    assert b"started" not in following.bytes_of(job, "events.jsonl")


def test_whoever_has_all_gets_the_last_word_only(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job("print('done')")
    job.run()
    sizes = {
        name: (job.path / name).stat().st_size
        for name in STREAMS
        if (job.path / name).exists()
    }
    following.watch(job, have=sizes)
    following.final(job)
    assert [set(header) for header in following.headers] == [{"job", "final", "size"}]


def test_a_job_that_is_not_there_is_missing(following: Following) -> None:
    following.tell(watch="nowhere")
    following.until(lambda: following.headers, "an answer")
    assert following.headers == [{"job": "nowhere", "missing": True}]


def test_a_folder_that_vanishes_is_missing(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job("")
    following.watch(job)
    following.until(lambda: following.beats, "a beat")
    shutil.rmtree(job.path)
    following.until(lambda: following.headers, "an answer")
    assert following.headers == [{"job": "job_0", "missing": True}]


def test_a_job_that_is_forgotten_is_silent(
    make_job: MakeJob, following: Following
) -> None:
    forgotten, other = start(make_job(WAITS)), start(make_job(WAITS))
    following.watch(forgotten)
    following.watch(other)
    following.until(lambda: following.bytes_of(forgotten), "its log")
    following.tell(forget="job_0")
    following.tell(forget="never watched")
    following.tell(watch="a sign that the commands were taken")
    following.until(lambda: following.headers[-1].get("missing"), "the sign")
    let_go(forgotten)
    forgotten.last_word()
    let_go(other)
    following.final(other)
    assert following.bytes_of(forgotten) == b"ready\n"


def test_a_job_is_canceled_through_the_stream(
    make_job: MakeJob, following: Following
) -> None:
    job = start(make_job(WAITS))
    following.watch(job)
    following.tell(cancel="job_0", grace_seconds=7, reason="Enough.")
    word = following.final(job)
    assert word["reason"] == "canceled"
    assert word["receipt"]["grace_seconds"] == 7
    assert job.read("cancel.json")["reason"] == "Enough."


def test_a_job_is_canceled_through_the_stream_before_its_start(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job("")
    following.watch(job)
    following.tell(cancel="job_0", grace_seconds=None, reason="Never mind.")
    word = following.final(job)
    assert word["reason"] == "canceled_before_start"
    assert word["detail"] == "Never mind."


def test_silence_is_broken_by_beats(following: Following) -> None:
    following.until(lambda: following.beats >= 2, "two beats")


def test_commands_may_arrive_in_pieces(make_job: MakeJob) -> None:
    job = make_job("print('done')")
    job.run()
    data = json.dumps({"watch": "job_0", "have": {}, "files": {}}).encode() + b"\n"
    following = Following(job.path.parent)
    for number in range(len(data)):
        following.tell_bytes(data[number : number + 1])
    following.final(job)
    following.close()


def test_the_follower_ends_with_its_caller(make_job: MakeJob) -> None:
    following = Following(make_job("").path.parent)
    following.close()
    assert following.process.returncode == 0


def test_the_follower_ends_when_nobody_reads(make_job: MakeJob) -> None:
    """It waits in the middle of a frame, with room for no more, when that happens."""
    job = make_job("import os; os.write(1, bytes(8_000_000))")
    job.run()
    command = [*RUNNER_COMMAND, "follow", str(job.path.parent)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(b'{"watch": "job_0"}\n')
    process.stdin.flush()
    assert process.stdout.read(1000)
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


def test_a_follower_that_was_killed_is_replaced_without_loss(
    make_job: MakeJob, jobs_folder: Path
) -> None:
    """Each goes on from the whole frames that the one before got across."""
    job = make_job(CHATTY, "3")
    job.start()
    kept = b""
    while True:
        following = Following(jobs_folder)
        following.watch(job, have={LOG: len(kept)})
        seen = len(kept) + 400_000

        def enough(
            following: Following = following, kept: bytes = kept, seen: int = seen
        ) -> bool:
            ended = job.path.name in following.finals
            return ended or len(kept) + len(following.bytes_of(job)) > seen

        following.until(enough, "some more of the log")
        kept += following.bytes_of(job)
        ended = job.path.name in following.finals
        following.kill()
        if ended:
            break
    assert kept == job.log()


def test_a_log_that_became_shorter_is_not_sent_again(
    make_job: MakeJob, following: Following
) -> None:
    """What was sent stays; where the log then grows beyond it, that follows."""
    job = start(
        make_job(WAITS + "os.truncate('../logs/std_log.txt', 0); print('x' * 20)")
    )
    following.watch(job)
    following.until(lambda: following.bytes_of(job) == b"ready\n", "the log arrives")
    let_go(job)
    word = following.final(job)
    assert word["log"]["sha256"] == sha256(job.log())
    assert following.bytes_of(job).startswith(b"ready\n")


def test_a_large_output_does_not_hold_up_the_logs_of_others(
    make_job: MakeJob, following: Following
) -> None:
    large = make_job("open('outputs/large', 'wb').write(bytes(200_000_000))")
    large.run()
    other = start(make_job(WAITS))
    following.watch(large)
    following.until(lambda: following.headers, "the first piece")
    following.watch(other)
    following.final(large)
    order = [header["job"] for header in following.headers]
    assert order.index("job_1") < len(order) - 1 - order[::-1].index("job_0")
    assert len(following.outputs_of(large)["outputs/large"]) == 200_000_000


def test_frames_are_what_the_contract_says(make_job: MakeJob) -> None:
    """Read without the helper, as any other reader would."""
    job = make_job("print('done')")
    job.run()
    follow = [*RUNNER_COMMAND, "follow", str(job.path.parent)]
    command = [sys.executable, "-c", SAYS_AND_WAITS, *follow]
    done = subprocess.run(command, capture_output=True, check=True)
    frames = list(FrameReader().feed(done.stdout))
    assert set(frames[0].header) == {"beat"}
    assert frames[1].header == {"job": "job_0", "file": LOG, "offset": 0, "size": 5}
    assert frames[1].payload == b"done\n"
    header = {"job": "job_0", "final": True, "size": len(frames[-1].payload)}
    assert frames[-1].header == header
    assert json.loads(frames[-1].payload) == job.read("exit.json")
    eventually(lambda: job.state() == "ended", "the job has ended")


SAYS_AND_WAITS = """
import subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
process.stdin.write(b'{"watch": "job_0"}\\n')
process.stdin.flush()
data = b""
while b'"final"' not in data or not data.endswith(b"}"):
    data += process.stdout.read1()
process.stdin.close()
process.wait()
sys.stdout.buffer.write(data)
"""
