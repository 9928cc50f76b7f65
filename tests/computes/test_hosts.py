"""This machine as a host: what its scripts see of the portal, and its stream."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aml_portal.errors import TargetError
from computes.frames import Frame, FrameReader
from computes.hosts import StreamClosed
from computes.hosts.local import LocalHost, PipeStream
from tests.computes.jobs import JobFolder, is_alive
from tests.computes.objects import source
from tests.waiting import eventually

SECRETS = {
    "AML_PORTAL_SECRET_KEY": "hunter2",
    "AML_PORTAL_DATA": "/hunter2",
    "DJANGO_SETTINGS_MODULE": "hunter2",
    "RQ_QUEUES": "hunter2",
    "REDIS_URL": "redis://:hunter2@localhost",
    "REDIS_URL_FILE": "/hunter2",
}
SHOWS_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def host(jobs_folder: Path) -> LocalHost:
    return LocalHost(jobs_folder)


@pytest.fixture
def stream(host: LocalHost) -> Iterator[PipeStream]:
    stream = host.follow()
    yield stream
    stream.close()


def spec(*argv: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "job",
        "argv": list(argv),
        "cwd": "work",
        "env": {},
        "grace_seconds": 5.0,
        "max_duration_seconds": None,
        "collect": ["outputs", "logs"],
        **changes,
    }


def stage(host: LocalHost, script: str, **changes: Any) -> None:
    with tempfile.TemporaryDirectory() as objects:
        files = source(Path(objects), {"train.py": script.encode()})
        host.stage("job", spec(sys.executable, "train.py", **changes), files)


def last_word(jobs_folder: Path) -> dict[str, Any]:
    path = jobs_folder / "job/exit.json"
    eventually(path.exists, "the job has ended")
    word: dict[str, Any] = json.loads(path.read_bytes())
    return word


def frames(stream: PipeStream, until: str) -> list[Frame]:
    """What arrives up to a frame with this key."""
    reader, found = FrameReader(), list[Frame]()

    def arrived() -> bool:
        found.extend(reader.feed(stream.read(0.02)))
        return any(until in frame.header for frame in found)

    eventually(arrived, f"a frame with {until!r} arrives")
    return found


def test_what_a_power_cut_may_have_emptied_is_laid_out_anew(
    host: LocalHost, jobs_folder: Path
) -> None:
    stage(host, "whole")
    (jobs_folder / "job/work/train.py").write_bytes(b"")
    (jobs_folder / "job/boot_id").write_text("that of an earlier start")
    stage(host, "whole")
    assert (jobs_folder / "job/work/train.py").read_text() == "whole"


def test_a_job_that_ran_before_a_restart_is_left_as_it_is(
    host: LocalHost, jobs_folder: Path
) -> None:
    stage(host, "print('fine')")
    host.start("job")
    last_word(jobs_folder)
    (jobs_folder / "job/boot_id").write_text("that of an earlier start")
    stage(host, "another")
    assert (jobs_folder / "job/work/train.py").read_text() == "print('fine')"


def test_a_job_is_canceled_with_a_reason(host: LocalHost, jobs_folder: Path) -> None:
    stage(host, "import time; time.sleep(600)")
    host.start("job")
    host.cancel("job", grace_seconds=1.5, reason="Enough; $(rm -rf /).")
    assert last_word(jobs_folder)["receipt"]["grace_seconds"] == 1.5
    request = json.loads((jobs_folder / "job/cancel.json").read_bytes())
    assert request["reason"] == "Enough; $(rm -rf /)."


def test_scripts_see_no_secrets_of_the_portal(
    host: LocalHost, jobs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KEPT", "a variable of the machine")
    stage(host, SHOWS_ENVIRONMENT, env={"MINE": "a variable of the run"})
    host.start("job")
    last_word(jobs_folder)
    text = (jobs_folder / "job/logs/std_log.txt").read_text()
    assert "hunter2" not in text
    seen = json.loads(text)
    assert seen["KEPT"] == "a variable of the machine"
    assert seen["MINE"] == "a variable of the run"


def test_the_supervisor_and_the_follower_hold_no_secrets_either(
    host: LocalHost, jobs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script could read them from /proc, being of the same user."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    stage(host, "import time; time.sleep(600)")
    supervisor = host.start("job")["pid"]
    assert b"hunter2" not in Path(f"/proc/{supervisor}/environ").read_bytes()
    stream = host.follow()
    follower = stream.pid
    assert b"hunter2" not in Path(f"/proc/{follower}/environ").read_bytes()
    stream.close()
    host.cancel("job", grace_seconds=0, reason="The test is over.")
    last_word(jobs_folder)


def test_what_the_runner_refuses_is_an_error_of_the_target(host: LocalHost) -> None:
    with pytest.raises(TargetError, match=r"could not start the job: .*no job\.json"):
        host.start("nowhere")


def test_the_stream_brings_a_job_to_its_end(
    host: LocalHost, stream: PipeStream
) -> None:
    stage(host, "print('fine')")
    stream.write(b'{"watch": "job"}\n')
    host.start("job")
    found = frames(stream, "final")
    log = [frame for frame in found if frame.header.get("file") == "logs/std_log.txt"]
    assert b"".join(frame.payload for frame in log) == b"fine\n"


def test_a_full_disk_is_told_and_nothing_half_is_left(tmp_path: Path) -> None:
    """The system says of a file above the limit what it says of a full disk."""
    program = """
import pathlib, resource, signal, sys
from aml_portal.errors import TargetError
from computes.hosts.local import LocalHost
from tests.computes.objects import source
place = pathlib.Path(sys.argv[1])
large = source(place / "objects", {"large": bytes(400_000)})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    LocalHost(place / "jobs").stage("job", {}, large)
except TargetError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "The disk of the portal is full. Ask an administrator" in done.stdout
    assert {path.name for path in (tmp_path / "jobs/job").iterdir()} == {"boot_id"}


def test_a_quiet_stream_reads_as_nothing(stream: PipeStream) -> None:
    frames(stream, "beat")
    assert stream.read(0) == b""


def test_commands_are_taken_while_nobody_reads(
    host: LocalHost, stream: PipeStream, jobs_folder: Path
) -> None:
    """Neither side waits for the other for good: writing never blocks the portal."""
    job = JobFolder(jobs_folder / "large", "import os; os.write(1, bytes(30_000_000))")
    job.run()
    stream.write(b'{"watch": "large"}\n')
    for number in range(20_000):
        stream.write(b'{"watch": "absent_%d"}\n' % number)
    stream.write(b'{"watch": "the last"}\n')
    reader = FrameReader()
    jobs: list[str] = []
    received = 0

    def all_arrived() -> bool:
        nonlocal received
        for frame in reader.feed(stream.read(0.02)):
            received += len(frame.payload)
            jobs.append(frame.header.get("job", ""))
        return "the last" in jobs and received >= 30_000_000

    eventually(all_arrived, "the log and the last answer arrive")
    assert len({job for job in jobs if job.startswith("absent")}) == 20_000


def test_a_follower_that_is_killed_ends_the_stream(stream: PipeStream) -> None:
    frames(stream, "beat")
    os.kill(stream.pid, signal.SIGKILL)

    def has_ended() -> bool:
        try:
            stream.read(0.02)
        except StreamClosed:
            return True
        return False

    eventually(has_ended, "the stream says that it ended")
    assert has_ended(), "It says so again."
    for _ in range(1000):
        stream.write(b'{"watch": "nobody"}\n')


def test_a_closed_stream_leaves_no_process(host: LocalHost) -> None:
    stream = host.follow()
    frames(stream, "beat")
    pid = stream.pid
    stream.close()
    assert not Path(f"/proc/{pid}").exists()


def test_the_follower_ends_with_the_portal(jobs_folder: Path) -> None:
    """Killed outright, the portal can't close what it opened."""
    code = f"""
import sys, time
from pathlib import Path
import django
django.setup()
from computes.hosts.local import LocalHost
stream = LocalHost(Path({str(jobs_folder)!r})).follow()
stream.read(10)
print(stream.pid, flush=True)
time.sleep(600)
"""
    portal = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert portal.stdout
    follower = int(portal.stdout.readline())
    assert is_alive(follower)
    portal.kill()
    portal.wait()
    portal.stdout.close()
    eventually(lambda: not is_alive(follower), "the follower has ended")


def some_frames(rnd: random.Random) -> list[Frame]:
    found = []
    for number in range(rnd.randrange(1, 30)):
        header: dict[str, Any] = {"job": rnd.choice(["a", "日本\n{}", "\udcff"])}
        payload = b""
        if rnd.random() < 0.8:
            size = rnd.choice([0, 1, 2, 300, 5_000])
            payload = rnd.choice([rnd.randbytes(size), b"\n" * size, b'{"' * size])
            header.update(file="x", offset=number, size=len(payload))
        found.append(Frame(header=header, payload=payload))
    return found


@pytest.mark.parametrize("longest", [1, 7, 1_000, 100_000, 10_000_000])
@pytest.mark.parametrize("seed", range(6))
def test_frames_are_read_however_they_are_cut(seed: int, longest: int) -> None:
    rnd = random.Random(seed)
    sent = some_frames(rnd)
    data = b"".join(
        json.dumps(frame.header).encode() + b"\n" + frame.payload for frame in sent
    )
    reader = FrameReader()
    read: list[Frame] = []
    at = 0
    while at < len(data):
        size = rnd.randint(1, longest)
        read += reader.feed(data[at : at + size])
        at += size
    assert read == sent
