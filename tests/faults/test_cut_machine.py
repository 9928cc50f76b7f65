"""A machine that is cut off while runs are on it: they go on, and nothing is lost."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from django.test import override_settings

from computes.hosts import ssh_connection
from computes.models import ComputeTarget
from computes.targets import host_of
from environments import locks
from environments.definition import Definition
from environments.models import Environment, Lock
from environments.services import save_environment
from runs import execution, follower, services
from runs.mirror import last_word, log_path
from runs.models import Run
from runs.status import RunStatus
from tests import factories
from tests.environments.sources import source
from tests.environments.wheels import Wheels
from tests.services.machine import Machine
from tests.services.monitor import Monitor, following, placed, started, states
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
COUNTS = """
import os, time
for number in range(1_000_000):
    print(number, flush=True)
    if os.path.exists("outputs/go"):
        break
    time.sleep(0.005)
print("done")
"""
# Its child is in a session of its own, and nobody's child any more.
LEAVES_A_CHILD = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(600)
"""
FILLS_THE_DISK = """
import sys
print("before", flush=True)
try:
    with open("large", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
except OSError as error:
    sys.exit(error.errno)
"""


# A package whose build waits for the test.
BUILDS_SLOWLY = """
import os, time, zipfile

def build_wheel(folder, *_):
    open("/home/ada/building", "w").close()
    while not os.path.exists("/home/ada/go"):
        time.sleep(0.05)
    name, info = "slow-1.0-py3-none-any.whl", "slow-1.0.dist-info"
    files = {
        "slow.py": [],
        info + "/METADATA": ["Metadata-Version: 2.1", "Name: slow", "Version: 1.0"],
        info + "/WHEEL": ["Wheel-Version: 1.0", "Tag: py3-none-any"],
        info + "/RECORD": [],
    }
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, lines in files.items():
            wheel.writestr(path, chr(10).join([*lines, ""]))
    return name
"""


@dataclass(frozen=True, kw_only=True)
class LongCut:
    """A run of a real portal, whose machine is away for a minute beside all else."""

    machine: Machine
    client: httpx.Client
    run: SubmittedRun
    is_over: threading.Timer


@pytest.fixture(scope="module", autouse=True)
def long_cut(machine: Machine, prepared_data: Path) -> Iterator[LongCut]:
    """Begun before the first test of this module, and looked at by the last one."""
    portal = Portal(prepared_data)
    with Machine() as other:
        portal.start()
        client = portal.sign_in()
        attach(client, other)
        run = submit(portal, client, script=COUNTS, target="2")
        eventually(run.log, "the script prints")
        other.pull_cable()
        timer = threading.Timer(60, other.plug_cable)
        timer.start()
        yield LongCut(machine=other, client=client, run=run, is_over=timer)
        timer.cancel()
        portal.remove()


def attach(client: httpx.Client, machine: Machine) -> None:
    form = {
        "name": "gpu-box",
        "address": machine.address,
        "port": "22",
        "user": "ada",
        "private_key": machine.private_key,
        "root": "~/.aml-portal",
        "python": "python3",
        "max_runs": "3",
        "takes_runs": "on",
    }
    page = client.post("/compute/new/ssh/", data=form)
    assert "Is this the right machine?" in page.text
    key = {"host_key": machine.host_key}
    client.post("/compute/gpu-box/host-key/", data=key).raise_for_status()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that takes half a minute takes a second."""
    monkeypatch.setattr(follower, "_SILENCE", 3.0)
    monkeypatch.setattr(follower, "_NOT_RESPONDING_AFTER", 4.0)
    monkeypatch.setattr(follower, "_LONGEST_BACK_OFF", 0.5)
    monkeypatch.setattr(ssh_connection, "_CONNECT", 1)
    monkeypatch.setattr(ssh_connection, "_DEAD_AFTER_MS", 3000)


@pytest.fixture
def target(machine: Machine, impatient: None) -> Iterator[ComputeTarget]:
    target = factories.machine(machine, "~/.aml-portal", python="python3", max_runs=50)
    yield target
    machine.plug_cable()
    machine.run("pkill", "-KILL", "-u", "ada", check=False)
    machine.run("rm", "-rf", "/home/ada/.aml-portal/jobs")


@pytest.fixture
def monitor(target: ComputeTarget) -> Iterator[Monitor]:
    with following(host_of(target)) as monitor:
        yield monitor


def far_folder(machine: Machine, run: Run | SubmittedRun) -> Path:
    return machine.path(f"/home/ada/.aml-portal/jobs/{run.run_id}")


def far_log(machine: Machine, run: Run | SubmittedRun) -> bytes:
    return (far_folder(machine, run) / "logs/std_log.txt").read_bytes()


def let_go(machine: Machine, run: Run | SubmittedRun) -> None:
    (far_folder(machine, run) / "work/outputs/go").touch()


def scripts(machine: Machine) -> int:
    """How many processes of scripts live there."""
    found = machine.run("pgrep", "-u", "ada", "-f", "train.py", check=False)
    return len(found.split())


def test_a_cut_connection_ends_no_run_and_loses_no_byte(
    machine: Machine, monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(COUNTS, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    machine.pull_cable()
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    told = run.events.get(status=RunStatus.NOT_RESPONDING).detail
    assert "The run may still be working" in told
    assert Run.objects.placed().filter(pk=run.pk).exists()
    before = far_log(machine, run)
    machine.plug_cable()
    monitor.wait_for(run, RunStatus.RUNNING)
    let_go(machine, run)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == far_log(machine, run)
    assert len(far_log(machine, run)) > len(before)
    assert "again" in run.events.filter(status=RunStatus.RUNNING)[1].detail


def test_a_cut_that_nobody_notices_tears_nothing(
    machine: Machine, monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(COUNTS, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    for _ in range(3):
        machine.pull_cable()
        time.sleep(0.3)
        machine.plug_cable()
        time.sleep(0.2)
    let_go(machine, run)
    monitor.wait_for_end(run)
    assert "NotResponding" not in states(run)
    assert log_path(run.run_id).read_bytes() == far_log(machine, run)


def test_a_run_that_ends_meanwhile_is_whole(
    machine: Machine, monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(COUNTS, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    machine.pull_cable()
    let_go(machine, run)
    eventually(lambda: far_log(machine, run).endswith(b"done\n"), "the script ends")
    machine.plug_cable()
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == far_log(machine, run)


def test_a_cut_in_the_middle_of_a_build_does_not_end_it(
    machine: Machine, monitor: Monitor, target: ComputeTarget
) -> None:
    wheels = Wheels(machine.path("/home/ada/wheels"))
    archive = source(wheels.folder, "slow", BUILDS_SLOWLY)
    needed = save_environment(name="slow", definition=Definition.of_packages("slow"))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    lock = lock_of_lines(needed, f"slow==1.0 --hash=sha256:{sha256}\n")
    with override_settings(
        PYTHON_INDEX="file:///home/ada", PYTHON_FIND_LINKS=["/home/ada/wheels"]
    ):
        run = started("import slow", target=target, environment=needed)
    building = machine.path("/home/ada/building")
    monitor.wait(building.exists, "it is being built")
    machine.pull_cable()
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    machine.path("/home/ada/go").touch()
    far = machine.path(f"/home/ada/.aml-portal/environments/{lock.key}.json")
    eventually(far.exists, "it is built")
    machine.plug_cable()
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert "Its environment was built in" in str([*run.events.values_list("detail")])
    assert log_path(run.run_id).read_bytes() == far_log(machine, run)


def lock_of_lines(environment: Environment, text: str) -> Lock:
    """As if uv had resolved it to that, which does not build what it resolves."""
    platform = locks.platform_of(environment, {"machine": "x86_64"})
    facts = {"platform": platform, "python": "3.11", "text": text}
    return Lock.objects.create(environment=environment, **facts)


def test_a_cancel_waits_for_the_machine_and_leaves_nothing_there(
    machine: Machine, monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(LEAVES_A_CHILD, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    assert scripts(machine) == 2
    machine.pull_cable()
    services.cancel_run(run, by="ada")
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    assert scripts(machine) == 2
    machine.plug_cable()
    monitor.wait_for_end(run)
    assert run.status == RunStatus.CANCELED
    assert scripts(machine) == 0
    word = last_word(run.run_id)
    assert word
    assert word.receipt
    assert (len(word.receipt.processes), word.receipt.left) == (2, 0)


def test_a_lost_answer_starts_nothing_twice(
    machine: Machine,
    monitor: Monitor,
    target: ComputeTarget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = placed("print('once', flush=True)", target=target)
    host = host_of(target)
    start = host.start

    def start_deaf(job: str) -> dict[str, object]:
        machine.mute()
        return start(job)

    monkeypatch.setattr(host, "start", start_deaf)
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.handle) == (RunStatus.STARTING, None)
    assert "The submission is tried again." in run.events.order_by("-id")[0].detail
    eventually(lambda: far_log(machine, run) == b"once\n", "the script was started")
    monkeypatch.setattr(host, "start", start)
    machine.unmute()
    execution.start_run(run.pk)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == b"once\n"


def test_a_killed_sshd_ends_no_run(
    machine: Machine, monitor: Monitor, target: ComputeTarget
) -> None:
    run = started(COUNTS, target=target)
    monitor.wait(log_path(run.run_id).exists, "the script prints")
    machine.kill_sshd()
    monitor.wait_for(run, RunStatus.NOT_RESPONDING)
    told = run.events.get(status=RunStatus.NOT_RESPONDING).detail
    assert "can't be reached: connection refused." in told
    machine.start_sshd()
    monitor.wait_for(run, RunStatus.RUNNING)
    let_go(machine, run)
    monitor.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED
    assert log_path(run.run_id).read_bytes() == far_log(machine, run)


def test_a_script_that_fills_the_disk_comes_to_its_end(
    machine: Machine, impatient: None
) -> None:
    """Its exit code is told, though nothing can be written there any more."""
    target = factories.machine(
        machine, "~/.aml-portal", python="python3", user="narrow"
    )
    with following(host_of(target)) as monitor:
        run = started(FILLS_THE_DISK, target=target)
        monitor.wait_for_end(run)
    assert run.status == RunStatus.FAILED
    assert run.error == "The script ended with exit code 28."
    assert log_path(run.run_id).read_text() == "before\n"
    execution.clean_run(run.pk)
    run.refresh_from_db()
    assert run.cleaned_at is not None


@pytest.mark.timeout(180)
def test_a_minute_without_a_connection_is_as_if_nothing_was(long_cut: LongCut) -> None:
    machine, run = long_cut.machine, long_cut.run
    # Half a minute after the last word; the script does not stop for that.
    run.wait_for("NotResponding")
    page = long_cut.client.get(f"/runs/{run.run_id}/").text
    assert "The run may still be working" in page
    assert "It was last heard from" in page
    grown = len(far_log(machine, run))
    eventually(lambda: len(far_log(machine, run)) > grown, "the script goes on")
    long_cut.is_over.join()
    assert run.wait_for("Running", timeout=30) == "Running"
    let_go(machine, run)
    assert run.wait_for_end() == "Completed"
    numbers = run.log().split()
    assert numbers == [b"%d" % n for n in range(len(numbers) - 1)] + [b"done"]
    states = [status for status, _ in run.events() if status]
    assert states.count("NotResponding") == 1
    assert states[-1] == "Completed"
