"""The log of a job has every byte that was printed, and exit.json vouches for it."""

import os
import resource
from pathlib import Path

from tests.computes.conftest import MakeJob
from tests.computes.jobs import JobFolder, is_alive, sha256
from tests.waiting import eventually

# Prints chunks of all kinds on both streams, and keeps what it printed elsewhere.
BYTES_OF_ALL_KINDS = """
import os, random
rnd = random.Random(5)
kept = open("../printed", "wb")
for _ in range(400):
    data = rnd.choice([
        rnd.randbytes(rnd.choice([1, 30, 70_000])), bytes(range(256)), b"\\0" * 999,
        b"\\xff\\xfe\\xc3(", "日本語 🚀\\n".encode()[:-2], b"\\r 50 %\\r", b"\\n", b"",
    ])
    kept.write(data)
    stream = rnd.choice([1, 2])
    while data:
        data = data[os.write(stream, data):]
"""


def assert_whole(job: JobFolder, word: dict[str, object], expected: bytes) -> None:
    assert job.log() == expected
    assert word["log"] == {"bytes": len(expected), "sha256": sha256(expected)}


def test_bytes_of_all_kinds_are_kept_in_order(make_job: MakeJob) -> None:
    job = make_job(BYTES_OF_ALL_KINDS)
    word = job.run()
    assert_whole(job, word, (job.path / "printed").read_bytes())


def test_200_mb_without_a_newline_are_kept(make_job: MakeJob) -> None:
    job = make_job("""
import os
block = bytes(range(11, 111)) * 20_000
for number in range(100):
    data = memoryview(block)[number:]
    while data:
        data = data[os.write(1, data):]
""")
    word = job.run()
    block = bytes(range(11, 111)) * 20_000
    expected = b"".join(block[number:] for number in range(100))
    assert len(expected) > 199_000_000
    # Not assert_whole: two such values would take minutes to compare on failure.
    assert (job.path / "logs/std_log.txt").stat().st_size == len(expected)
    assert word["log"] == {"bytes": len(expected), "sha256": sha256(expected)}


def test_a_script_that_prints_nothing_has_an_empty_log(make_job: MakeJob) -> None:
    job = make_job("pass")
    assert_whole(job, job.run(), b"")


def test_a_script_that_closes_its_output_works_on(make_job: MakeJob) -> None:
    job = make_job("""
import os
print("before", flush=True)
os.close(1)
os.close(2)
open("outputs/after.txt", "w").write("still here")
os._exit(4)
""")
    word = job.run()
    assert word["exit_code"] == 4
    assert (job.work / "outputs/after.txt").read_text() == "still here"
    assert_whole(job, word, b"before\n")


def test_what_daemons_print_after_the_script_ended_is_kept(make_job: MakeJob) -> None:
    """They get SIGTERM at the end of the script; their last words are in the log."""
    job = make_job("""
import os, signal, time
def last_words(*_):
    os.write(1, b"daemon says goodbye\\n" * 1000)
    os._exit(0)
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, last_words)
        os.write(tell, b"x")
        time.sleep(60)
    os._exit(0)
os.read(ready, 1)
print("script ends")
""")
    word = job.run()
    assert word["exit_code"] == 0
    assert len(word["receipt"]["processes"]) == 1
    assert_whole(job, word, b"script ends\n" + b"daemon says goodbye\n" * 1000)


def test_a_script_that_truncates_its_log_hurts_only_the_log(
    make_job: MakeJob,
) -> None:
    job = make_job("""
import os
print("gone" * 1000)
os.truncate("../logs/std_log.txt", 0)
print("stays")
""")
    assert_whole(job, job.run(), b"stays\n")


def test_a_log_replaced_by_what_never_ends_does_not_hold_up_the_end(
    make_job: MakeJob,
) -> None:
    job = make_job("""
import os
os.unlink("../logs/std_log.txt")
os.mkfifo("../logs/std_log.txt")
""")
    word = job.run()
    assert word["log"] == {"bytes": 0, "sha256": sha256(b"")}


def test_a_full_disk_for_the_log_is_for_the_script_to_see(make_job: MakeJob) -> None:
    """Every write to /dev/full fails as on a full disk."""
    job = make_job("""
import os
try:
    os.write(1, b"x")
except OSError as error:
    raise SystemExit(error.errno)
""")
    (job.path / "logs").mkdir()
    (job.path / "logs/std_log.txt").symlink_to("/dev/full")
    word = job.run()
    assert (word["reason"], word["exit_code"]) == ("exited", 28)


def limit_file_size(pid: int, size: int | None) -> None:
    """Have all files of the process end at `size`, as on a full disk; None: lift it."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    soft = hard if size is None else size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def test_the_last_word_waits_until_the_disk_has_room(make_job: MakeJob) -> None:
    job = make_job(
        "import os; print('started'); os.read(os.open('go', os.O_RDONLY), 1)"
    )
    os.mkfifo(job.work / "go")
    job.start()
    job.says("started")
    supervisor, script = job.supervisor(), job.read("runner.json")["child"]["pid"]
    limit_file_size(supervisor, 10)
    (job.work / "go").write_text("x")
    eventually(lambda: not is_alive(script), "the script has ended")
    assert job.state() == "running"
    assert not (job.path / "exit.json").exists()
    limit_file_size(supervisor, None)
    word = job.last_word()
    assert (word["reason"], word["exit_code"]) == ("exited", 0)
    assert_whole(job, word, b"started\n")
    assert_only_whole_lines(job)
    assert [path.name for path in job.path.glob("exit.json.*")] == []


def assert_only_whole_lines(job: JobFolder) -> None:
    """Neither file has half a line; `lines` would fail on one."""
    assert job.events()[:2] == ["supervising", "started"]
    assert all("memory_bytes" in sample for sample in job.lines("resources.jsonl"))


def test_a_job_folder_on_a_full_disk_is_not_started_and_may_be_later(
    make_job: MakeJob,
) -> None:
    def no_room() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))

    job = make_job("print('at last')")
    words = job.refusal("start", preexec_fn=no_room)
    assert words == "The job folder can't be written to: File too large.\n"
    assert job.state() == "not_started"
    assert job.run()["exit_code"] == 0
    assert job.log() == b"at last\n"


def test_the_log_is_for_the_owner_only(make_job: MakeJob) -> None:
    job = make_job("print('secret')")
    job.run()
    for name in ("logs/std_log.txt", "events.jsonl", "exit.json", "runner.json"):
        assert (job.path / name).stat().st_mode & 0o077 == 0, Path(name)
