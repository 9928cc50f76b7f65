"""Jobs in containers of a real Docker engine, of this machine and over SSH."""

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aml_portal.errors import TargetError, UserError
from computes.hosts import Place, TargetAwayError
from computes.hosts.local import LocalHost
from computes.hosts.ssh import SshHost
from tests.computes.docker_jobs import WAITS, Dock
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, PYTHON, load_foreign
from tests.waiting import eventually

SECOND = """
import subprocess, sys, time
code = "import os, time; os.setsid(); print('apart', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", code])
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def dock(docker_engine: DockerEngine, tmp_path: Path) -> Dock:
    return Dock.here(docker_engine, tmp_path)


@pytest.fixture(params=["local", "ssh"])
def either(
    request: pytest.FixtureRequest, dock: Dock, tmp_path: Path
) -> Iterator[Dock]:
    """The engine of this machine, and the same as one that is elsewhere."""
    if request.param == "local":
        yield dock
        return
    account = request.getfixturevalue("sshd").account()
    root = tmp_path / "far away; 'x'"
    host = SshHost(account, key=str(root), root=str(root), python=sys.executable)
    with closing(host):
        yield replace(dock, host=host, jobs=root / "jobs")


def test_a_job_goes_its_way(either: Dock) -> None:
    job = either.started(
        "import os, sys\n"
        "print(sys.executable, os.environ['HOME'], os.environ['USER'])\n"
        "open('outputs/result.txt', 'w').write('42')\n"
        "sys.exit(3)"
    )
    assert job.last_word()["exit_code"] == 3
    home = job.folder / "work"
    assert job.log == f"/usr/local/bin/python3 {home} aml-portal\n"
    assert (job.folder / "work/outputs/result.txt").read_text() == "42"
    job.wait(lambda: job.sight().is_over, "the container has ended")
    assert job.sight().hint == ""
    (left,) = [each for each in job.launcher.leftovers() if each.job == job.name]
    assert f"Container aml-{job.name} of {PYTHON}: Exited (0)" in left.words
    job.launcher.end(job.name)
    job.launcher.end(job.name)
    assert not job.is_there()
    assert job.launcher.leftovers() == []


def test_a_cancel_leaves_nothing(either: Dock) -> None:
    job = either.started(SECOND)
    job.says("apart")
    either.host.cancel(job.name, grace_seconds=1, reason="Enough.")
    word = job.last_word()
    assert (word["reason"], word["receipt"]["left"]) == ("canceled", 0)
    assert len(word["receipt"]["processes"]) == 2
    job.launcher.end(job.name)
    assert not job.is_there()


def test_it_is_checked(either: Dock) -> None:
    before = created_in(either)
    found = {name: check() for name, check in either.launcher().checks().items()}
    assert found["Docker engine"].startswith("Docker 2")
    assert found["Image"] == f"{PYTHON} is there."
    assert found["Job folders"] == "The engine sees the folders of the host."
    assert created_in(either) == before


def created_in(dock: Dock) -> set[str]:
    """The containers that were made and not started."""
    containers = dock.client.containers.list(all=True, filters={"status": "created"})
    return {str(each.id) for each in containers}


def test_it_is_started_once_however_often_it_is_asked_for(dock: Dock) -> None:
    job = dock.job(WAITS)
    handles: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: handles.append(job.start())) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(handles) == 6
    assert {handle["container"] for handle in handles} == {job.container.id}
    job.says("ready")
    job.container.kill()
    job.wait(lambda: job.sight().is_over, "the container has ended")
    job.start()
    assert job.container.status == "exited"
    assert job.log == "ready\n"


def test_one_that_was_made_and_not_started_is_started(dock: Dock) -> None:
    """As after a kill of the process that was about to start it."""
    job = dock.job(WAITS)
    with job.launcher._asking() as client:
        made = job.launcher._make(client, job.spec, dock.host.place(job.name))
    assert job.container.status == "created"
    assert not job.sight().is_over
    assert job.start() == {"container": made["Id"]}
    job.says("ready")


def test_what_it_writes_belongs_to_the_account_of_the_host(dock: Dock) -> None:
    class SomebodysHost(LocalHost):
        def place(self, job: str) -> Place:
            return replace(super().place(job), user=1234, group=2345)

    dock = replace(dock, host=SomebodysHost(dock.jobs))
    job = dock.job("import os; print(os.getuid(), os.getgid()); open('outputs/o', 'w')")
    for path in (job.folder, *job.folder.rglob("*")):
        os.chown(path, 1234, 2345)
    job.start()
    assert job.last_word()["exit_code"] == 0
    assert job.log == "1234 2345\n"
    facts = (job.folder / "work/outputs/o").stat()
    assert (facts.st_uid, facts.st_gid) == (1234, 2345)


def test_the_limits_of_the_target_are_those_of_the_container(
    dock: Dock, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/words").write_text("shared")
    code = (
        "print(open('/data/words').read())\n"
        "import os; print(os.statvfs('/dev/shm').f_blocks)\n"
        "try: open('/data/mine', 'w')\n"
        "except OSError as error: print(error.strerror)\n"
    )
    job = dock.started(
        code,
        cpus=0.5,
        memory=0.25,
        shared_memory=0.125,
        network="host",
        mounts=f"\n{tmp_path / 'data'}:/data:ro\n",
    )
    assert job.last_word()["exit_code"] == 0
    blocks = 2**27 // os.statvfs("/dev/shm").f_bsize
    assert job.log == f"shared\n{blocks}\nRead-only file system\n"
    host = job.container.attrs["HostConfig"]
    assert host["NanoCpus"] == 500_000_000
    assert host["Memory"] == host["MemorySwap"] == 2**28
    assert (host["NetworkMode"], host["Init"]) == ("host", True)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])


def test_a_lack_of_memory_is_told(dock: Dock) -> None:
    job = dock.started("print(len(bytearray(2 << 28)))", memory=0.1)
    assert job.last_word()["signal"] == signal.SIGKILL
    job.wait(lambda: job.sight().is_over, "the container has ended")
    assert job.sight().hint == (
        "A process of the container was ended for lack of memory, of which it may use"
        " 107 MB."
    )


def test_an_image_without_python_is_told(dock: Dock) -> None:
    job = dock.job(WAITS, {"image": BARE})
    job.start()
    job.wait(lambda: job.sight().is_over, "the container has ended")
    assert f"The image {BARE} has no python3" in job.sight().words
    assert dock.host.state(job.name)["state"] == "not_started"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("/tmp", "/tmp of the image aml-tests/bare:1 can't be run"),
        ("/bin/old", "is too old"),
        ("/bin/broken", "ended with exit code 3: no luck today"),
    ],
)
def test_why_the_runner_does_not_begin_is_told(
    dock: Dock, tmp_path: Path, program: str, words: str
) -> None:
    programs = {
        "old": b"#!/bin/sh\necho SyntaxError: future feature annotations is not "
        b"defined >&2; exit 1\n",
        "broken": b"#!/bin/sh\necho no luck today >&2; exit 3\n",
    }
    for name, content in programs.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)
    mounts = "\n".join(f"{tmp_path / name}:/bin/{name}" for name in programs)
    job = dock.job(WAITS, {"image": BARE}, python=program, mounts=mounts)
    job.start()
    job.wait(lambda: job.sight().is_over, "the container has ended")
    assert words in job.sight().words


def test_an_image_for_another_processor_is_told(dock: Dock) -> None:
    foreign = {"arm64": "riscv64"}.get(dock.client.version()["Arch"], "arm64")
    name = load_foreign(dock.client, foreign)
    job = dock.job(WAITS, {"image": name})
    job.start()
    job.wait(lambda: job.sight().is_over, "the container has ended")
    assert job.sight().words == f"The image {name} was built for another processor."


def test_a_container_that_was_paused_is_told_and_can_be_ended(dock: Dock) -> None:
    job = dock.started()
    job.says("ready")
    job.container.pause()
    assert "has paused the container" in job.sight().words
    assert not job.sight().is_over
    job.launcher.end(job.name)
    assert not job.is_there()


def test_a_container_that_was_removed_is_told(dock: Dock) -> None:
    job = dock.started()
    job.says("ready")
    job.container.remove(force=True)
    assert job.sight().is_over
    assert "something outside the portal removed it" in job.sight().words
    eventually(lambda: dock.host.state(job.name)["state"] == "lost", "it is lost")


def test_an_end_from_outside_is_told(dock: Dock) -> None:
    job = dock.started()
    job.says("ready")
    # It reaches the runner, which ends what it has and says so.
    job.container.stop()
    assert job.last_word()["reason"] == "host_signal"
    second = dock.started()
    second.says("ready")
    second.container.kill()
    assert "killed from outside the portal" in second.sight().hint


def test_a_container_of_another_portal_is_left_alone(dock: Dock) -> None:
    job = dock.job(WAITS)
    other = dock.client.containers.create(BARE, ["true"], name=f"aml-{job.name}")
    with pytest.raises(TargetError, match="is not of this portal"):
        job.start()
    assert job.launcher.leftovers() == []
    job.launcher.end(job.name)
    assert job.container.id == other.id
    other.remove()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mounts": "/nowhere/at/all:/data"}, "absent there: /nowhere/at/all"),
        ({"network": "nowhere"}, "network nowhere not found"),
        ({"cpus": 5000.0}, "Range of CPUs is from"),
        ({"memory": 0.001}, "Minimum memory limit"),
    ],
)
def test_what_the_engine_refuses_is_told_and_leaves_nothing(
    dock: Dock, settings: dict[str, Any], words: str
) -> None:
    job = dock.job(WAITS, **settings)
    with pytest.raises(TargetError, match=words):
        job.start()
    assert not job.is_there()


def test_a_run_without_gpus_is_given_none(dock: Dock) -> None:
    job = dock.job(WAITS)
    job.spec["gpus"] = []
    job.start()
    facts = job.container.attrs
    assert "NVIDIA_VISIBLE_DEVICES=void" in facts["Config"]["Env"]
    assert not facts["HostConfig"]["DeviceRequests"]


def test_gpus_that_the_engine_can_not_give_are_told(dock: Dock) -> None:
    job = dock.job(WAITS)
    job.spec["gpus"] = [1, 3]
    with pytest.raises(TargetError, match="gives containers no GPUs"):
        job.start()
    assert not job.is_there()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "There is no Docker engine at"),
        ("file", "does not run"),
        ("long" * 40, "did not answer"),
    ],
)
def test_an_engine_that_is_away_is_told(
    either: Dock, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "file").touch()
    launcher = either.launcher(socket=str(tmp_path / name))
    with pytest.raises(TargetAwayError, match=words):
        launcher.leftovers()


def test_an_engine_that_the_account_may_not_use_is_told(dock: Dock) -> None:
    class StrangersHost(LocalHost):
        def connect(self, path: str) -> socket.socket:
            raise PermissionError(errno.EACCES, "Permission denied")

    dock = replace(dock, host=StrangersHost(dock.jobs))
    launcher = dock.launcher(socket="/run/closed.sock")
    with pytest.raises(TargetError) as raised:
        launcher.leftovers()
    assert not isinstance(raised.value, TargetAwayError)
    assert str(raised.value) == (
        "The account may not use the Docker engine at /run/closed.sock."
        " Add the account to the group docker there."
    )


def test_what_is_no_name_of_an_image_is_told(dock: Dock) -> None:
    for name in ("-v", "a b", "a\nb", "../x", "a" * 300):
        with pytest.raises(UserError, match="is no name of an image"):
            dock.job(WAITS, {"image": name})


def test_the_python_of_the_host_means_that_of_the_image(dock: Dock) -> None:
    launcher = dock.launcher(python="/usr/local/bin/python3")
    given = {"id": "job", "argv": [sys.executable, "-c", ""], "env": {}}
    assert launcher.spec(given, {})["argv"][0] == "/usr/local/bin/python3"
    kept = launcher.spec({**given, "argv": ["/opt/python", "-c", ""]}, {})
    assert kept["argv"][0] == "/opt/python"
