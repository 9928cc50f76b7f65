"""What a script leaves in outputs and logs, as `runner follow` sends it."""

import os
import socket
from pathlib import Path

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.follower import UNPRIVILEGED, Following
from tests.computes.jobs import JobFolder
from tests.waiting import eventually

WAITS = "import os; os.read(os.open('go', os.O_RDONLY), 1)"


def start(job: JobFolder) -> Path:
    """Start a job that waits; its outputs folder."""
    os.mkfifo(job.work / "go")
    job.start()
    outputs = job.work / "outputs"
    eventually(outputs.is_dir, "the folder for outputs is there")
    return outputs


def let_go(job: JobFolder) -> None:
    (job.work / "go").write_text("x")


def names_sent(following: Following) -> list[str]:
    """The names of all versions that arrived whole, in order."""
    return [header["output"] for header in following.headers if header.get("last")]


def until_outputs(
    following: Following, job: JobFolder, expected: dict[str, bytes]
) -> None:
    following.until(lambda: following.outputs_of(job) == expected, f"{expected}")


def test_outputs_appear_change_and_disappear_while_the_script_runs(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job(WAITS)
    outputs = start(job)
    following.watch(job)
    (outputs / "model").write_bytes(b"first")
    (job.work / "logs/more.txt").write_bytes(b"")
    until_outputs(following, job, {"outputs/model": b"first", "logs/more.txt": b""})
    (outputs / "model").write_bytes(b"second, and longer")
    (job.work / "logs/more.txt").unlink()
    until_outputs(following, job, {"outputs/model": b"second, and longer"})
    os.truncate(outputs / "model", 3)
    until_outputs(following, job, {"outputs/model": b"sec"})
    (outputs / "model").unlink()
    (outputs / "model").mkdir()
    (outputs / "model/part").write_bytes(b"x")
    until_outputs(following, job, {"outputs/model/part": b"x"})
    let_go(job)
    following.final(job)
    assert following.outputs_of(job) == {"outputs/model/part": b"x"}


def test_a_file_replaced_by_one_of_the_same_size_is_sent_again(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job(WAITS)
    outputs = start(job)
    following.watch(job)
    (outputs / "best").write_bytes(b"epoch 1")
    until_outputs(following, job, {"outputs/best": b"epoch 1"})
    (outputs / "temporary").write_bytes(b"epoch 2")
    (outputs / "temporary").rename(outputs / "best")
    until_outputs(following, job, {"outputs/best": b"epoch 2"})


def test_what_is_written_last_arrives_before_the_last_word(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job("""
import os
os.makedirs("outputs/deep/er")
open("outputs/deep/er/model", "wb").write(bytes(range(256)) * 10_000)
open("outputs/empty", "w")
open("elsewhere", "w").write("not collected")
""")
    following.watch(job)
    job.start()
    following.final(job)
    assert following.outputs_of(job) == {
        "outputs/deep/er/model": bytes(range(256)) * 10_000,
        "outputs/empty": b"",
    }


def test_a_version_that_the_portal_has_is_not_sent_again(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job("""
for name in ("same", "changed", "new"):
    open("outputs/" + name, "w").write(name)
""")
    job.run()
    facts = (job.work / "outputs/same").stat()
    version = [facts.st_size, facts.st_mtime_ns]
    following.outputs["job_0", "outputs/gone"] = b"the portal has this one"
    files = {
        "outputs/same": version,
        "outputs/changed": [version[0], version[1] - 1],
        "outputs/gone": [1, 1],
    }
    following.watch(job, files=files)
    following.final(job)
    assert sorted(names_sent(following)) == ["outputs/changed", "outputs/new"]
    assert {"job": "job_0", "removed": ["outputs/gone"]} in following.headers


def test_a_file_that_changes_while_it_is_sent_arrives_whole_in_the_end(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job(WAITS)
    outputs = start(job)
    size = 100_000_000
    (outputs / "large").write_bytes(bytes(size))
    following.watch(job)
    following.until(lambda: "output" in str(following.headers), "the first piece")
    with (outputs / "large").open("r+b") as file:
        file.write(b"changed")
    torn = {"job": "job_0", "output": "outputs/large", "torn": True}
    following.until(lambda: torn in following.headers, "the version is given up")
    assert following.outputs_of(job) == {}
    let_go(job)
    following.final(job)
    assert following.outputs_of(job)["outputs/large"] == b"changed" + bytes(size - 7)


def test_a_small_file_that_keeps_growing_is_seen_while_it_grows(
    make_job: MakeJob, following: Following
) -> None:
    job = make_job("""
import time
with open("outputs/metrics.csv", "w") as file:
    while True:
        print("1,2,3", file=file, flush=True)
        time.sleep(0.3)
""")
    job.start()
    following.watch(job)
    following.until(lambda: following.outputs_of(job), "a version of the table")
    assert job.state() == "running"
    [table] = following.outputs_of(job).values()
    assert set(table.splitlines()) == {b"1,2,3"}


def test_thousands_of_files_arrive(make_job: MakeJob, following: Following) -> None:
    job = make_job("""
import os
for folder in range(50):
    os.mkdir(f"outputs/{folder}")
    for number in range(100):
        with open(f"outputs/{folder}/{number}.txt", "w") as file:
            file.write(f"{folder} {number}")
""")
    job.run()
    following.watch(job)
    following.final(job)
    assert following.outputs_of(job) == {
        f"outputs/{folder}/{number}.txt": f"{folder} {number}".encode()
        for folder in range(50)
        for number in range(100)
    }


ODD_NAMES = [
    b"new\nline",
    b"not \xff\xfe utf-8",
    "日本語 🚀 é".encode(),
    b"-rf",
    b" ",
    b"\\back\"quote'",
    b"$(touch hurt) `touch hurt`",
    b"..almost",
    b"\x01\x1b[31m",
    b"x" * 255,
]


def test_odd_names_arrive_as_they_are(make_job: MakeJob, following: Following) -> None:
    job = make_job("pass")
    outputs = job.work / "outputs"
    outputs.mkdir()
    for name in ODD_NAMES:
        (outputs / os.fsdecode(name)).write_bytes(name)
    job.run()
    following.watch(job)
    following.final(job)
    arrived = {
        os.fsencode(name): data for name, data in following.outputs_of(job).items()
    }
    assert arrived == {b"outputs/" + name: name for name in ODD_NAMES}


def test_only_regular_files_are_sent_and_links_lead_nowhere(
    make_job: MakeJob, following: Following, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    job = make_job("pass")
    outputs = job.work / "outputs"
    outputs.mkdir()
    (outputs / "file").write_text("content")
    (outputs / "link").symlink_to(secret / "key")
    (outputs / "folder").symlink_to(secret)
    (outputs / "loop").symlink_to(outputs)
    (outputs / "inside").symlink_to(outputs / "file")
    (outputs / "nowhere").symlink_to("nowhere")
    os.mkfifo(outputs / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    # By way of the folder's number: the whole path may be too long for a socket.
    folder = os.open(outputs, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{folder}/socket")
    os.close(folder)
    (job.work / "logs").symlink_to(secret)
    job.run()
    following.watch(job)
    following.final(job)
    listener.close()
    assert following.outputs_of(job) == {"outputs/file": b"content"}


def test_an_outputs_folder_that_leads_elsewhere_is_not_followed(
    make_job: MakeJob, following: Following, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    job = make_job("pass")
    (job.work / "outputs").symlink_to(secret)
    job.run()
    following.watch(job)
    following.final(job)
    assert following.outputs_of(job) == {}


@pytest.mark.parametrize(
    ("mode", "unseen"),
    [(0, "outputs/closed"), (0o400, "outputs/closed/file")],
    ids=["not listed", "only listed"],
)
def test_what_can_not_be_looked_into_any_more_is_not_taken_for_gone(
    make_job: MakeJob, jobs_folder: Path, mode: int, unseen: str
) -> None:
    job = make_job(WAITS)
    closed, other = start(job) / "closed", job.work / "outputs/other"
    closed.mkdir()
    for file in (closed / "file", other):
        file.write_bytes(b"good")
    following = Following(jobs_folder, prefix=UNPRIVILEGED)
    following.watch(job)
    sent = {"outputs/closed/file": b"good", "outputs/other": b"good"}
    until_outputs(following, job, sent)
    closed.chmod(mode)
    other.unlink()
    until_outputs(following, job, {"outputs/closed/file": b"good"})
    let_go(job)
    following.final(job)
    following.close()
    assert following.outputs_of(job) == {"outputs/closed/file": b"good"}
    assert following.left_out == {(job.path.name, unseen): "Permission denied"}


def test_what_can_not_be_read_keeps_nothing_else_back(
    make_job: MakeJob, jobs_folder: Path
) -> None:
    job = make_job("""
import os
for name in ("closed", "open"):
    os.mkdir("outputs/" + name)
    open(f"outputs/{name}/file", "w").write(name)
open("outputs/closed-file", "w").write("closed")
os.chmod("outputs/closed", 0)
os.chmod("outputs/closed-file", 0)
""")
    job.run()
    following = Following(jobs_folder, prefix=UNPRIVILEGED)
    following.watch(job)
    following.final(job)
    following.close()
    assert following.outputs_of(job) == {"outputs/open/file": b"open"}
    assert following.left_out == {
        (job.path.name, "outputs/closed"): "Permission denied",
        (job.path.name, "outputs/closed-file"): "Permission denied",
    }
    (job.work / "outputs/closed").chmod(0o700)
