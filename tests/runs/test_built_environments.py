"""Runs whose environment is built on their machine, here and over SSH."""

import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from computes.models import ComputeTarget
from computes.targets import host_of
from environments.definition import Definition
from environments.locks import lock_of
from environments.models import Build, Environment
from environments.preparing import preparation
from environments.services import save_environment
from runs import tasks
from runs.mirror import log_path
from runs.status import EndReason, RunStatus
from tests import factories
from tests.environments.sources import BUILDS, source, source_files
from tests.environments.wheels import Wheels
from tests.services.file_server import serve_folder
from tests.services.git import git, repository
from tests.services.git_server import GitServer, serving
from tests.services.monitor import Monitor, placed, started, take_up
from tests.services.package_index import serve_index
from tests.services.sshd import Sshd

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
]
SHOW = "import tiny, sys; print(tiny.VERSION, sys.prefix)"


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[Wheels]:
    """The one place where packages come from."""
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.0")
    wheels.add("tiny", "1.5")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none", PYTHON_FIND_LINKS=[str(wheels.folder)]
    ):
        yield wheels


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


def environment(*pip: str, **changes: Any) -> Environment:
    definition = Definition.of_packages(*pip, **changes)
    return save_environment(name="tiny", definition=definition)


def test_the_first_run_builds_it_and_the_second_finds_it(
    followed: Monitor, target: ComputeTarget, wheels: Wheels
) -> None:
    needed = environment("tiny")
    run = started(SHOW, target=target, environment=needed)
    followed.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    log = log_path(run.run_id).read_text()
    assert log.splitlines()[-1].startswith("1.5 ")
    assert run.events.filter(detail__startswith="Its environment was built").exists()
    build = Build.objects.get(machine=target)
    assert (build.state, build.key) == ("ready", needed.locks.get().key)
    assert build.bytes
    # A newer version comes; the same environment stays what it is.
    wheels.add("tiny", "2.0")
    again = started(SHOW, target=target, environment=needed)
    followed.wait_for_end(again)
    assert log_path(again.run_id).read_text() == log.splitlines()[-1] + "\n"
    assert again.events.filter(detail="Its environment was there already.").exists()
    assert again.sight == ""
    assert again.lock == run.lock == needed.locks.get()


def test_a_netrc_file_of_the_portal_signs_in_to_indexes_elsewhere(
    followed: Monitor, target: ComputeTarget, tmp_path: Path
) -> None:
    wheels, netrc = Wheels(tmp_path / "private/wheels"), tmp_path / "netrc"
    wheels.add("tiny", "1.5")
    netrc.write_text("machine 127.0.0.1 login reader password let-me-in\n")
    with (
        serve_folder(wheels.as_index(), "reader:let-me-in") as host,
        override_settings(
            PYTHON_INDEX=f"http://{host}/simple",
            PYTHON_NETRC=str(netrc),
            PYTHON_NO_PROXY="127.0.0.1",
        ),
    ):
        run = started(SHOW, target=target, environment=environment("tiny"))
        followed.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert "let-me-in" not in log_path(run.run_id).read_text()


def test_an_environment_that_has_vanished_is_built_again_from_the_same_lock(
    monitor: Monitor, wheels: Wheels
) -> None:
    needed = environment("tiny")
    run = started(SHOW, environment=needed)
    monitor.wait_for_end(run)
    lock = needed.locks.get()
    shutil.rmtree(settings.JOBS_FOLDER.parent / "environments" / lock.key)
    wheels.add("tiny", "2.0")
    again = started(SHOW, environment=needed)
    monitor.wait_for_end(again)
    assert log_path(again.run_id).read_text().splitlines()[-1].startswith("1.5 ")
    assert again.events.filter(detail__startswith="Its environment was built").exists()
    assert Build.objects.get().state == "ready"


def test_packages_come_from_the_index_that_the_definition_names(
    followed: Monitor, target: ComputeTarget, wheels: Wheels, tmp_path: Path
) -> None:
    others = Wheels(tmp_path / "others")
    others.add("tiny", "7.0")
    with (
        serve_index(others.folder) as address,
        override_settings(PACKAGE_HOSTS=["127.0.0.1"], PYTHON_FIND_LINKS=[]),
    ):
        needed = environment("tiny", f"--extra-index-url {address}")
        run = started(SHOW, target=target, environment=needed)
        followed.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert log_path(run.run_id).read_text().splitlines()[-1].startswith("7.0 ")


def test_resubmitting_a_run_gets_it_the_very_packages_that_it_had(
    monitor: Monitor, wheels: Wheels
) -> None:
    first = environment("tiny")
    run = started(SHOW, environment=first)
    monitor.wait_for_end(run)
    # Since then there is another version of the package, and of the environment.
    wheels.add("tiny", "2.0")
    assert environment("tiny>1.5").version == 2
    client = factories.signed_in(run.owner)
    page = client.get(f"/runs/new/?from={run.run_id}").content.decode()
    assert f'<option value="{first.pk}" selected>' in " ".join(page.split())
    again = started(SHOW, environment=first)
    monitor.wait_for_end(again)
    assert log_path(again.run_id).read_text().splitlines()[-1].startswith("1.5 ")
    assert again.lock == run.lock


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (("tiny==9",), "There is no tiny==9 in the package index."),
        (("nowhere",), "There is no package “nowhere” in the package index."),
        (("tiny==1.0", "upon"), "tiny==1.0 and upon can't be installed together."),
    ],
)
def test_packages_that_can_not_be_had_are_told(
    wheels: Wheels, packages: tuple[str, ...], words: str
) -> None:
    wheels.add("upon", requires=("tiny>=1.5",))
    run = placed(SHOW, environment=environment(*packages))
    take_up(run)
    run.refresh_from_db()
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert run.error.startswith(words)


def test_a_yanked_version_is_taken_by_who_names_it_and_by_nobody_else(
    monitor: Monitor, tmp_path: Path
) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5")
    yanked = wheels.add("tiny", "2.0")
    with (
        serve_index(wheels.folder, {yanked.name: "It lost data."}) as index,
        override_settings(PYTHON_INDEX=index),
    ):
        for package, version in {"tiny": "1.5", "tiny==2.0": "2.0"}.items():
            run = started(SHOW, environment=environment(package))
            monitor.wait_for_end(run)
            log = log_path(run.run_id).read_text()
            assert log.splitlines()[-1].startswith(f"{version} "), log


def test_the_certificates_of_the_portal_go_with_it(
    sshd: Sshd, tmp_path: Path, wheels: Wheels
) -> None:
    own, needed = tmp_path / "own.pem", environment("tiny")
    far = factories.machine(sshd, tmp_path / "far")
    # An administrator renews them while the portal runs.
    for authority in ("the portal's own authority", "the next one"):
        own.write_text(authority)
        with override_settings(PYTHON_CA_BUNDLE=str(own)):
            told = preparation(needed, far, host_of(far), "job").secrets
        there = Path(told["env"]["SSL_CERT_FILE"])
        assert there.is_relative_to(tmp_path / "far")
        assert told["env"]["PIP_CERT"] == str(there)
        assert there.read_text() == authority


def test_wheels_for_other_platforms_alone_are_told(wheels: Wheels) -> None:
    wheels.add("alien", tag="cp311-cp311-win_amd64")
    run = placed(SHOW, environment=environment("alien"))
    take_up(run)
    run.refresh_from_db()
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert run.error.startswith("alien==1.0 has no wheel for Python 3.")
    printed = " ".join(log_path(run.run_id).read_text().split())
    assert "no wheels with a matching platform tag" in printed


def test_an_interpreter_that_was_deleted_after_it_was_saved_is_told(
    monitor: Monitor, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    definition = Definition.user_managed(str(python))
    needed = save_environment(name="own", definition=definition)
    python.unlink()
    run = started("", environment=needed)
    monitor.wait_for_end(run)
    assert run.end_reason == EndReason.START_FAILED
    assert run.error == f"{python} can't be started: No such file or directory."


def test_what_has_to_be_built_to_be_known_is_built_where_it_is_needed(
    followed: Monitor, target: ComputeTarget, wheels: Wheels, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    source(wheels.folder, "made", BUILDS.format(told=str(told)), static=False)
    needed = environment("made")
    run = started("import made; " + SHOW, target=target, environment=needed)
    followed.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    assert log_path(run.run_id).read_text().splitlines()[-1].startswith("1.5 ")
    assert needed.locks.get().packages.keys() == {"python", "made", "tiny"}
    there = Path(host_of(target).place("job").folder).parent.parent
    assert told.read_text().startswith(f"{there}/environments/cache/")


@pytest.mark.parametrize("static", [True, False])
def test_a_package_comes_from_its_repository_at_the_commit_that_was_locked(
    followed: Monitor,
    target: ComputeTarget,
    wheels: Wheels,
    tmp_path: Path,
    static: bool,
) -> None:
    files = source_files(
        "made", BUILDS.format(told=str(tmp_path / "told")), static=static
    )
    code = repository(tmp_path / "git" / "made", files)
    with (
        serving(GitServer(code.parent)) as server,
        override_settings(PACKAGE_HOSTS=["127.0.0.1"]),
    ):
        needed = environment("tiny", f"made @ git+{server.url}/made/.git")
        run = started("import made; " + SHOW, target=target, environment=needed)
        followed.wait_for_end(run)
    assert run.status == RunStatus.COMPLETED, run.error
    commit = git(code, "rev-parse", "HEAD").strip()
    assert f"made @ git+{server.url}/made/.git@{commit}" in needed.locks.get().text


def test_a_package_that_can_not_be_built_is_told_before_anything_is_made(
    wheels: Wheels,
) -> None:
    source(wheels.folder, "made", "raise RuntimeError('no libfoo.h')", static=False)
    run = placed(SHOW, environment=environment("made"))
    take_up(run)
    run.refresh_from_db()
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert run.error == "Failed to build `made==1.0`; RuntimeError: no libfoo.h."
    # All that was printed is in the log.
    log = log_path(run.run_id).read_text()
    assert "Traceback (most recent call last)" in log
    assert "RuntimeError: no libfoo.h" in log


def test_a_build_that_fails_ends_the_run_with_its_reason(
    monitor: Monitor, wheels: Wheels
) -> None:
    needed = environment("tiny==1.0")
    run = placed(SHOW, environment=needed)
    # What is locked is not what comes.
    lock_of(needed, {"machine": platform.machine()})
    wheels.add("tiny", "1.0", code="tampered = True")
    take_up(run)
    monitor.wait_for_end(run)
    assert run.end_reason == EndReason.PREPARE_FAILED
    assert "Hash mismatch for `tiny==1.0`" in run.error
    assert Build.objects.filter(state="failed").exists()


def test_no_other_submission_waits_for_an_index_that_says_nothing(
    monitor: Monitor, wheels: Wheels
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"--extra-index-url http://127.0.0.1:{silent.getsockname()[1]}/simple"
        with override_settings(PACKAGE_HOSTS=["127.0.0.1"]):
            slow = placed(SHOW, environment=environment("tiny", index))
            tasks.start_run(slow.pk)
            quick = started("print('done')")
            monitor.wait_for_end(quick)
            slow.refresh_from_db()
            assert slow.status == RunStatus.PREPARING
            silent.close()
            monitor.wait_for_end(slow)
    assert slow.end_reason == EndReason.PREPARE_FAILED
    assert "127.0.0.1" in slow.error
