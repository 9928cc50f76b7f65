"""Runs whose packages come from channels of conda: solved here, installed there."""

import json
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from computes.models import ComputeTarget
from computes.targets import host_of
from environments.definition import CondaDependencies, Definition, PythonSection
from environments.locks import lock_of
from environments.models import Build, Environment
from environments.services import save_environment
from runs.mirror import log_path
from runs.status import EndReason, RunStatus
from tests import factories
from tests.environments.conda_channel import PYTHON, CondaChannel
from tests.environments.wheels import Wheels, fetch_pinned
from tests.services.monitor import Monitor, placed, started, take_up
from tests.services.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
SHOW = (
    "import numlib, tiny, os, sys\n"
    "print(numlib.VERSION, tiny.VERSION, sys.prefix == os.environ['CONDA_PREFIX'])"
)


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("installer")
    fetch_pinned("rattler", folder)
    return folder


@pytest.fixture
def wheels(tmp_path: Path, installer: Path) -> Iterator[Wheels]:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none",
        PYTHON_FIND_LINKS=[str(wheels.folder), str(installer)],
    ):
        yield wheels


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[CondaChannel]:
    channel = CondaChannel(tmp_path / "channel")
    channel.add("core", "2.0", {"share/core.txt": b"core"})
    channel.add_module("numlib", "1.0")
    channel.add_module("numlib", "2.0", ["core >=2"])
    channel.index()
    # That folders are channels is up to the administrator.
    with override_settings(CONDA_CHANNEL_ALIAS=f"file://{tmp_path}"):
        yield channel


def environment(
    channel: CondaChannel, *packages: str, pip: str = "tiny"
) -> Environment:
    conda = CondaDependencies(
        channels=(channel.folder.name,),
        packages=(f"python={PYTHON[:4]}", *packages),
        pip=(pip,),
    )
    python = PythonSection(conda_dependencies=conda)
    return save_environment(name="numbers", definition=Definition(python=python))


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> ComputeTarget:
    if request.param == "local":
        return factories.target(max_runs=50)
    sshd: Sshd = request.getfixturevalue("sshd")
    return factories.machine(sshd, tmp_path / "far", max_runs=50)


@pytest.fixture
def followed(target: ComputeTarget) -> Iterator[Monitor]:
    monitor = Monitor()
    monitor.begin(host_of(target))
    yield monitor
    monitor.stop()


def test_packages_of_conda_and_of_pip_are_there_for_the_script(
    followed: Monitor, target: ComputeTarget, wheels: Wheels, channel: CondaChannel
) -> None:
    needed = environment(channel, "numlib")
    run = started(SHOW, target=target, environment=needed)
    followed.wait_for_end(run)
    log = log_path(run.run_id).read_text()
    assert run.status == RunStatus.COMPLETED, run.error + log
    assert log.splitlines()[-1] == "2.0 1.5 True"
    assert {"Installing numlib", "Fetching core 2.0"} <= set(log.splitlines())
    lock = needed.locks.get()
    assert lock.platform.startswith(f"linux-64 glibc={platform.libc_ver()[1]}")
    assert {each["name"]: each["version"] for each in json.loads(lock.conda)} == {
        "python": PYTHON,
        "numlib": "2.0",
        "core": "2.0",
    }
    # What installs them is no environment of anybody.
    assert Build.objects.get().key == lock.key
    channel.add_module("numlib", "3.0")
    channel.index()
    again = started(SHOW, target=target, environment=needed)
    followed.wait_for_end(again)
    assert log_path(again.run_id).read_text() == "2.0 1.5 True\n"
    assert again.events.filter(detail="Its environment was there already.").exists()


def test_an_update_of_the_machine_changes_no_environment(
    wheels: Wheels, channel: CondaChannel
) -> None:
    needed = environment(channel, "numlib")
    facts = {"machine": "x86_64", "glibc": "2.36", "cuda": "12.4"}
    before = lock_of(needed, facts)
    channel.add_module("numlib", "3.0")
    channel.index()
    assert lock_of(needed, {**facts, "cuda": "12.8"}) == before
    assert lock_of(needed, {**facts, "cuda": "11.8"}).packages["numlib"] == "3.0"


def test_packages_that_conda_does_not_have_are_told(
    wheels: Wheels, channel: CondaChannel
) -> None:
    run = placed(environment=environment(channel, "numlib=2", "core<2"))
    take_up(run)
    run.refresh_from_db()
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert run.error == "There is no “core <2” in the channels of this environment."


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_package_that_is_not_what_was_locked_fails_the_build(
    monitor: Monitor, wheels: Wheels, channel: CondaChannel, what: str
) -> None:
    needed = environment(channel, "numlib")
    run = placed(environment=needed)
    lock_of(needed, host_of(run.target).facts())
    archive = channel.add("core", "2.0", {"share/core.txt": b"tampered"})
    if what == "gone":
        archive.unlink()
    take_up(run)
    monitor.wait_for_end(run)
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert "core-2.0-0.tar.bz2" in run.error
    assert ("hash mismatch" if what == "changed" else "No such file") in run.error
    assert run.error.count("\n") == 0


def test_what_conda_has_installed_is_not_installed_once_more_by_pip(
    monitor: Monitor, wheels: Wheels, channel: CondaChannel
) -> None:
    wheels.add("numlib", "2.0")
    wheels.add("numlib", "9.0")
    wheels.add("upon", "1.0", requires=("numlib", "tiny"))
    needed = environment(channel, "numlib", pip="upon")
    script = "import numlib, upon; print(numlib.__file__.endswith('numlib.py'))"
    run = started(script, environment=needed)
    monitor.wait_for_end(run)
    assert log_path(run.run_id).read_text().endswith("True\n")
    wheels.add("beyond", "1.0", requires=("numlib>=9",))
    run = placed(environment=environment(channel, "numlib", pip="beyond"))
    take_up(run)
    run.refresh_from_db()
    assert "numlib>=9" in run.error
