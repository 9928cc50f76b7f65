"""Jobs on a Docker engine that does not see the files of the host."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from computes.hosts.local import LocalHost
from computes.launchers.docker.copying import CopyingDockerLauncher
from computes.launchers.docker.launcher import DockerLauncher
from computes.launchers.docker.settings import DockerSettings
from tests.computes.docker_jobs import Dock
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import BARE, PYTHON, load_images

FILLS = """
import os, sys
print(os.getcwd(), os.environ["COLOUR"], sorted(os.listdir(".")))
os.makedirs("outputs/deep")
open("outputs/deep/result.txt", "w").write("42")
os.symlink("/etc/passwd", "outputs/link")
os.mkfifo("outputs/fifo")
sys.stderr.write("x" * 300_000 + "\\n")
sys.exit(3)
"""
STUBBORN = """
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["/bin/setsid", "/bin/sleep", "600"])
print("ready", flush=True)
time.sleep(600)
"""


class CopyingDock(Dock):
    def launcher(self, **settings: object) -> DockerLauncher:
        own = {"image": PYTHON, "network": "none", "socket": str(self.engine.socket)}
        known = DockerSettings(**{**own, **settings})  # type: ignore[arg-type]
        return CopyingDockerLauncher(self.host, known)


@pytest.fixture
def dock(docker_engine: DockerEngine, tmp_path: Path) -> Dock:
    return CopyingDock(
        host=LocalHost(tmp_path / "jobs"),
        jobs=tmp_path / "jobs",
        store=tmp_path / "store",
        engine=docker_engine,
        client=docker_engine.client(),
    )


def test_the_folder_goes_there_and_the_outputs_come_back(
    dock: Dock, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    job = dock.job(FILLS, env={"COLOUR": "red", "LD_PRELOAD": "./evil.so"})
    # What a snapshot may have in the place of the outputs.
    (job.folder / "work/logs").symlink_to(elsewhere)
    job.start()
    assert job.last_word()["exit_code"] == 3
    # The variables are for the script alone: who starts it has none of them.
    assert job.spec["env"] == {}
    first, filling = [each for each in job.log.splitlines() if "ld.so" not in each]
    assert first == "/aml-portal/work red ['logs', 'outputs', 'train.py']"
    assert filling == "x" * 300_000
    outputs = job.folder / "work/outputs"
    assert (outputs / "deep/result.txt").read_text() == "42"
    assert sorted(path.name for path in outputs.iterdir()) == ["deep"]
    assert list(elsewhere.iterdir()) == []
    assert job.container.attrs["Mounts"] == []
    assert not list(job.folder.glob("docked-*"))
    job.launcher.end(job.name)
    assert not job.is_there()


def test_a_cancel_leaves_nothing(dock: Dock) -> None:
    job = dock.started(STUBBORN)
    job.says("ready")
    dock.host.cancel(job.name, grace_seconds=0.5, reason="Enough.")
    assert job.last_word()["reason"] == "canceled"
    job.launcher.end(job.name)
    assert not job.is_there()


def test_a_signal_reaches_the_script(dock: Dock) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): print('told', flush=True); sys.exit(5)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    job = dock.started(code)
    job.says("ready")
    dock.host.cancel(job.name, grace_seconds=20, reason="Enough.")
    word = job.last_word()
    assert (word["reason"], word["exit_code"]) == ("canceled", 5)
    assert job.log == "ready\ntold\n"


def test_what_the_engine_refuses_is_in_the_log(dock: Dock) -> None:
    job = dock.started("print(1)", network="nowhere")
    assert job.last_word()["exit_code"] == 125
    assert job.log == "Docker: network nowhere not found\n"
    job = dock.started("print(1)", image=BARE)
    assert job.last_word()["exit_code"] == 127
    assert "python3" in job.log


def test_a_lack_of_memory_is_told(dock: Dock) -> None:
    job = dock.started("print(len(bytearray(2 << 28)))", memory=0.1)
    assert job.last_word()["exit_code"] == 128 + signal.SIGKILL
    assert "ended for lack of memory" in job.sight().hint


def test_an_engine_that_is_killed_loses_and_repeats_no_byte(dock: Dock) -> None:
    with DockerEngine("--live-restore") as engine:
        load_images(engine.client(), PYTHON)
        dock = replace(dock, engine=engine, client=engine.client())
        job = dock.started(
            "import time\nfor n in range(150): print(n, flush=True); time.sleep(0.02)"
        )
        job.says("20\n")
        engine.kill()
        engine.start()
        assert job.last_word()["exit_code"] == 0
    assert job.log == "".join(f"{n}\n" for n in range(150))


def test_it_is_checked(dock: Dock) -> None:
    assert dock.launcher().checks()["Job folders"]() == (
        "They are copied to the engine and back."
    )
