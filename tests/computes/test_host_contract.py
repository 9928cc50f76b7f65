"""What every host promises, for each kind of them, with its real servers."""

import fcntl
import json
import os
import platform
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from aml_portal.errors import TargetError
from computes.frames import Frame, FrameReader
from computes.hosts.base import DamagedSourceError
from computes.hosts.local import LocalHost
from computes.hosts.ssh import SshHost
from tests.computes.objects import contents
from tests.computes.places import Place, spec
from tests.services.sshd import Sshd
from tests.waiting import eventually


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    objects = tmp_path / "store"
    with ExitStack() as stack:
        if request.param == "local":
            jobs = tmp_path / "jobs"
            yield Place(host=LocalHost(jobs), jobs=jobs, objects=objects, keeps=False)
            return
        account = request.getfixturevalue("sshd").account()
        root = tmp_path / "far away; $(x) 'y'"
        host = SshHost(account, key="ssh", root=str(root), python=sys.executable)
        stack.callback(host.close)
        yield Place(host=host, jobs=root / "jobs", objects=objects, keeps=True)


def test_a_job_goes_its_way(place: Place) -> None:
    host = place.host
    assert host.state("job")["state"] == "absent"
    place.stage({"train.py": b"import sys; print(sys.path[0])"})
    assert host.state("job")["state"] == "not_started"
    pid = host.start("job")["pid"]
    assert json.loads((place.jobs / "job/runner.json").read_bytes())["pid"] == pid
    assert place.last_word()["exit_code"] == 0
    assert place.log() == f"{place.jobs / 'job/work'}\n"
    # Its supervisor goes after its last word.
    eventually(lambda: host.state("job")["state"] == "ended", "the job has ended")
    host.clean("job")
    host.clean("job")
    assert host.state("job")["state"] == "absent"


def test_a_job_is_started_once(place: Place) -> None:
    place.stage({"train.py": b"print('once')"})
    assert place.host.start("job")["pid"] == place.host.start("job")["pid"]
    place.last_word()
    place.host.start("job")
    assert place.log() == "once\n"


def test_a_job_that_can_not_be_is_prevented(place: Place) -> None:
    place.stage({"train.py": b"print('never')"})
    for reason in ("--first", "second"):
        place.host.prevent("job", word="prepare_failed", reason=reason)
    place.host.start("job")
    word = place.last_word()
    assert (word["reason"], word["detail"]) == ("prepare_failed", "--first")
    assert place.log() == ""


def test_a_job_is_staged_once(place: Place) -> None:
    place.stage({"train.py": b"first"})
    place.stage({"train.py": b"second"})
    job = place.jobs / "job"
    assert (job / "work/train.py").read_text() == "first"
    assert job.stat().st_mode & 0o077 == 0
    assert (job / "job.json").stat().st_mode & 0o077 == 0


def test_only_what_a_host_lacks_is_sent(place: Place) -> None:
    files = {"train.py": b"1", "same.py": b"1", "big.bin": bytes(3_000_000)}
    first = place.stage(files)
    place.host.clean("job")
    again = place.stage(files | {"new.py": b"new"})
    expected = place.source({"new.py": b"new"}).contents().keys()
    assert len(first) == (2 if place.keeps else 0)
    assert again == (expected if place.keeps else set())
    assert contents(place.jobs / "job/work") == files | {"new.py": b"new"}


def test_many_files_arrive_as_they_are(place: Place) -> None:
    files = {f"d{n % 9}/f{n}": b"%d" % n * (n % 500) for n in range(2000)}
    place.stage(files)
    assert contents(place.jobs / "job/work") == files


def test_a_damaged_store_of_the_portal_is_told(place: Place) -> None:
    broken = place.source({"train.py": b"whole"})
    for path in place.objects.rglob("*"):
        if path.is_file():
            path.write_bytes(b"other")
    with pytest.raises(DamagedSourceError if not place.keeps else TargetError):
        place.host.stage("job", spec(), broken)
    assert place.host.state("job")["state"] in ("absent", "not_started")
    # And the host answers as before.
    place.stage({"train.py": b"print(1)"})
    place.host.start("job")
    assert place.last_word()["exit_code"] == 0


def test_a_lost_file_of_the_portal_is_told(place: Place) -> None:
    broken = place.source({"train.py": b"whole"})
    next(path for path in place.objects.rglob("*") if path.is_file()).unlink()
    with pytest.raises(DamagedSourceError):
        place.host.stage("job", spec(), broken)
    place.stage({"train.py": b"print(1)"})
    place.host.start("job")
    assert place.last_word()["exit_code"] == 0


def test_a_job_is_canceled_with_a_reason(place: Place) -> None:
    place.stage({"train.py": b"import time; print(1, flush=True); time.sleep(600)"})
    place.host.start("job")
    # Before, there would be nothing to end.
    eventually(place.log, "the script is at work")
    place.host.cancel("job", grace_seconds=1.5, reason="Enough; $(rm -rf /).")
    assert place.last_word()["receipt"]["grace_seconds"] == 1.5
    request = json.loads((place.jobs / "job/cancel.json").read_bytes())
    assert request["reason"] == "Enough; $(rm -rf /)."


def test_what_lives_there_is_told_and_ended(place: Place) -> None:
    code = b"import time; print(1, flush=True); time.sleep(600)"
    # Other tests have jobs on this machine, too.
    place = replace(place, job=f"job-{uuid4().hex}")
    place.stage({"train.py": code}, portal="ours")
    place.host.start(place.job)
    eventually(place.log, "the script is at work")
    (living,) = [each for each in place.host.living() if each.job == place.job]
    (process,) = living.processes
    assert living.portal == "ours"
    assert process.name.endswith("train.py")
    place.host.end_living(place.job, grace_seconds=1.5, reason="Enough.")
    assert place.last_word()["receipt"]["grace_seconds"] == 1.5
    assert place.job not in {each.job for each in place.host.living()}
    # Of what is gone there is nothing to be ended.
    place.host.end_living(place.job, grace_seconds=0, reason="Enough.")


def test_environments_that_no_job_uses_are_told_and_removed(place: Place) -> None:
    root = place.jobs.parent / "environments"
    for key in ("ready", "half", "used"):
        (root / key / "bin").mkdir(parents=True)
    (root / "cache").mkdir()
    (root / "ready.json").write_text('{"bytes": 3}')
    os.utime(root / "half", (1, 1))
    with (root / "used.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        half, ready = place.host.environments()
        assert (half.key, half.bytes, half.used) == ("half", None, 1)
        assert (ready.key, ready.bytes) == ("ready", 3)
        with pytest.raises(TargetError, match="in use"):
            place.host.remove_environment("used")
    for key in ("half", "ready", "gone", "../jobs", "cache"):
        place.host.remove_environment(key)
    assert [each.key for each in place.host.environments()] == ["used"]
    assert (root / "cache").exists()


def test_what_the_runner_refuses_is_an_error_of_the_target(place: Place) -> None:
    with pytest.raises(TargetError, match=r"no job\.json"):
        place.host.start("nowhere")


def test_what_was_not_needed_for_a_month_is_swept(place: Place) -> None:
    files = {"train.py": b"print(1)"}
    place.stage(files)
    kept = list(place.jobs.parent.rglob("objects/??/*"))
    assert len(kept) == (1 if place.keeps else 0)
    place.host.sweep()
    for path in kept:
        assert path.exists()
        os.utime(path, (1, 1))
    place.host.sweep()
    assert not any(path.exists() for path in kept)
    # It is sent again when it is needed.
    place.host.clean("job")
    place.stage(files)
    assert contents(place.jobs / "job/work") == files


def test_it_tells_what_the_machine_has(place: Place) -> None:
    facts = place.host.facts()
    assert facts["python"] == platform.python_version()
    assert facts["cpus"] == os.cpu_count()
    assert 0 < facts["disk_free"] <= facts["disk"]
    assert 0 < facts["memory_free"] <= facts["memory"]
    assert facts["write_error"] == ""


def test_the_stream_brings_a_job_to_its_end(place: Place) -> None:
    place.stage({"train.py": b"print('x' * 2_000_000)"})
    stream = place.host.follow()
    stream.write(b'{"watch": "job"}\n')
    place.host.start("job")
    reader, found = FrameReader(), list[Frame]()

    def has_ended() -> bool:
        found.extend(reader.feed(stream.read(0.02)))
        return any("final" in frame.header for frame in found)

    eventually(has_ended, "the final frame arrives")
    log = [f.payload for f in found if f.header.get("file") == "logs/std_log.txt"]
    assert b"".join(log) == b"x" * 2_000_000 + b"\n"
    stream.close()


def test_a_stream_and_questions_of_many_threads_do_not_mix(place: Place) -> None:
    """One connection carries them all."""
    place.stage({"train.py": b"import time; time.sleep(600)"})
    streams = [place.host.follow() for _ in range(3)]
    place.host.start("job")
    assert [place.host.state("job")["state"] for _ in range(20)] == ["running"] * 20
    for stream in streams:
        eventually(lambda s=stream: s.read(0.02), "it beats")  # type: ignore[misc]
        stream.close()
    place.host.cancel("job", grace_seconds=0, reason="Over.")
    assert place.last_word()["reason"] == "canceled"


def test_a_command_is_run_there(place: Place) -> None:
    code = "import sys; print(sys.stdin.read()); sys.exit('no ' + sys.argv[1])"
    ran = place.host.run([sys.executable, "-c", code, "$(x) 'y'"], stdin=b"a\nb")
    assert (ran.code, ran.out) == (1, b"a\nb\n")
    assert ran.complaint == "no $(x) 'y'"


@pytest.mark.parametrize(
    ("command", "words"),
    [(["no-such-program"], "can't be started"), (["sleep", "9"], "did not end within")],
)
def test_a_command_that_can_not_be_run_is_told(
    place: Place, command: list[str], words: str
) -> None:
    with pytest.raises(TargetError, match=words):
        place.host.run(command, seconds=0.3)
    assert place.host.state("job")["state"] == "absent"


def test_what_is_said_before_the_start_begins_the_log(place: Place) -> None:
    place.stage({"train.py": b"print('of the script')"})
    place.host.write_log("job", b"pulling\n")
    place.host.write_log("job", b"done\n")
    place.host.start("job")
    word = place.last_word()
    assert place.log() == "pulling\ndone\nof the script\n"
    assert word["log"]["bytes"] == len(place.log())


def test_what_happens_before_the_start_begins_the_events(place: Place) -> None:
    place.stage({"train.py": b"print('of the script')"})
    place.host.write_log("job", b"building\n")
    place.host.write_event("job", "environment", state="built", key="k", bytes=3)
    place.host.start("job")
    place.last_word()
    lines = (place.jobs / "job/events.jsonl").read_text().splitlines()
    first, *others = map(json.loads, lines)
    assert first.pop("time") <= others[0]["time"]
    assert first == {
        "event": "environment",
        "state": "built",
        "key": "k",
        "bytes": 3,
        "log_bytes": len("building\n"),
    }
    assert "started" in [each["event"] for each in others]


def test_where_a_job_is_can_be_told(place: Place) -> None:
    place.stage({"train.py": b"print('apart')"}, apart=True)
    where = place.host.place("job")
    assert where.folder == str(place.jobs / "job")
    assert (where.user, where.group) == (os.getuid(), os.getgid())
    command = [where.python, "-I", "-S", where.runner, "supervise", where.folder]
    assert place.host.run(command).code == 0
    assert place.log() == "apart\n"
    assert place.host.state("job")["state"] == "ended"


def test_what_jobs_share_is_laid_out_once(place: Place) -> None:
    shared = place.source({"tool": b"#!/bin/sh\necho $1\n"})
    entries = [{**entry, "executable": True} for entry in shared.entries]
    shared = replace(shared, entries=entries)
    folder = place.host.lay_out("tool-1", shared)
    assert place.host.run([f"{folder}/tool", "works"]).out == b"works\n"
    before = Path(folder, "tool").stat().st_ino
    assert place.host.lay_out("tool-1", shared) == folder
    assert Path(folder, "tool").stat().st_ino == before


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[str]:
    """A Unix socket that answers all that it is sent, until it is told to stop."""
    path = str(tmp_path / "echo.sock")

    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)
                if data.endswith(b"stop"):
                    return

    def listen(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                threading.Thread(target=answer, args=[accepted]).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        threading.Thread(target=listen, args=[listener], daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def test_a_socket_there_is_connected_to(place: Place, echo: str) -> None:
    data = os.urandom(3_000_000) + b"stop"
    with place.host.connect(echo) as connected:
        connected.settimeout(30)
        sender = threading.Thread(target=connected.sendall, args=[data])
        sender.start()
        answered = b""
        while piece := connected.recv(1 << 16):
            answered += piece
        sender.join()
    assert answered == data


def test_connections_that_were_closed_take_no_room(place: Place, echo: str) -> None:
    """A connection over SSH has ten sessions."""
    for _ in range(11):
        with place.host.connect(echo) as connected:
            connected.sendall(b"a")
            assert connected.recv(1) == b"a"
    with place.host.connect(echo) as one, place.host.connect(echo) as other:
        other.sendall(b"b")
        one.sendall(b"a")
        assert (one.recv(1), other.recv(1)) == (b"a", b"b")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("none", FileNotFoundError),
        ("file", ConnectionRefusedError),
        ("a" * 200, OSError),
    ],
)
def test_what_is_wrong_with_a_socket_is_the_error_of_here(
    place: Place, tmp_path: Path, name: str, error: type[OSError]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(error) as raised:
        place.host.connect(str(tmp_path / name))
    assert raised.value.errno
    assert place.host.state("job")["state"] == "absent"


def test_secrets_reach_the_script_alone(place: Place) -> None:
    code, given = b"import os; print(os.environ['A'][::-1])", {"env": {"A": "secret"}}
    place.stage({"train.py": code}, secrets=["A"])
    place.host.give_secrets("job", given)
    assert (place.jobs / "job/secrets.json").stat().st_mode & 0o777 == 0o600
    place.host.start("job")
    place.host.give_secrets("job", given)
    assert (place.last_word()["exit_code"], place.log()) == (0, "terces\n")
    assert not (place.jobs / "job/secrets.json").exists()
