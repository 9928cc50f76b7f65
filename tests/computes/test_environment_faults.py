"""Environments that can't be built on their machine: what is told, and what is left."""

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.computes.environment_jobs import KEY, environments, job
from tests.computes.jobs import RUNNER_COMMAND
from tests.environments.sources import broken_source
from tests.environments.wheels import Wheels


@pytest.fixture
def wheels(tmp_path: Path) -> Wheels:
    return Wheels(tmp_path / "wheels")


def test_a_disk_that_is_full_in_the_middle_is_told_and_nothing_looks_finished(
    tmp_path: Path, wheels: Wheels
) -> None:
    noise = os.urandom(3_000_000).hex()
    lock = wheels.lock(wheels.add("tiny", code=f"# {noise}"))
    one = job(tmp_path, wheels, lock=lock)
    place = environments(tmp_path)
    place.mkdir(parents=True)
    supervise = shlex.join([*RUNNER_COMMAND, "supervise", str(one.path)])
    there = shlex.quote(str(place))
    steps = f"mount -t tmpfs -o size=5m none {there}; {supervise}; ls {there} >&2"
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", "--mount", *own, "sh", "-c", steps],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    word = one.last_word()
    assert word["reason"] == "prepare_failed"
    assert "tiny" in word["detail"]
    assert "No space left on device" in word["detail"]
    assert set(done.stderr.split()) == {"cache", "cache.lock", f"{KEY}.lock"}


def test_one_that_can_not_be_held_is_told_and_not_tried_for_ever(
    tmp_path: Path, wheels: Wheels
) -> None:
    assert job(tmp_path, wheels).run()["exit_code"] == 0
    lock = environments(tmp_path) / f"{KEY}.lock"
    lock.unlink()
    lock.mkdir()
    word = job(tmp_path, wheels, "again").run()
    assert word["reason"] == "prepare_failed"
    assert "Is a directory" in word["detail"]


def test_a_package_whose_own_build_fails_is_named_with_its_words(
    tmp_path: Path, wheels: Wheels
) -> None:
    archive = broken_source(wheels.folder, "broken", "libfoo.h is missing")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    one = job(tmp_path, wheels, lock=f"broken==1.0 --hash=sha256:{sha256}\n")
    one.start()
    detail = one.last_word()["detail"]
    assert "broken==1.0" in detail
    assert "RuntimeError: libfoo.h is missing" in detail
    assert len(detail) < 300


def test_a_wheel_for_another_platform_is_told(tmp_path: Path, wheels: Wheels) -> None:
    wheel = wheels.add("tiny", tag="cp311-cp311-win_amd64")
    one = job(tmp_path, wheels, lock=wheels.lock(wheel))
    one.start()
    detail = one.last_word()["detail"]
    assert "tiny==1.0 has no wheels with a matching platform tag" in detail
    assert detail.endswith("we can conclude that your requirements are unsatisfiable.")
