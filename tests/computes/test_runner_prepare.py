"""Environments that a job needs, built on its machine before its script starts."""

import os
import signal
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.computes.environment_jobs import KEY, environments, job, left, states
from tests.computes.jobs import JobFolder, write_program
from tests.environments.wheels import Wheels
from tests.waiting import eventually


@pytest.fixture
def wheels(tmp_path: Path) -> Wheels:
    return Wheels(tmp_path / "wheels")


def log(job: JobFolder) -> str:
    return job.log().decode()


def prefix(tmp_path: Path) -> str:
    return str(environments(tmp_path) / KEY)


@pytest.mark.parametrize("uv", [find_uv_bin(), None], ids=["uv", "pip"])
def test_the_script_finds_what_was_locked(
    tmp_path: Path, wheels: Wheels, uv: str | None
) -> None:
    lock = wheels.lock(wheels.add("tiny", "1.5"))
    first = job(tmp_path, wheels, lock=lock, uv=uv)
    first.ask("start")
    # pip takes its time on a machine that has other things to do.
    assert first.last_word(90)["exit_code"] == 0, log(first)
    assert states(first) == ["building", "built"]
    assert log(first).splitlines()[-1] == f"1.5 {prefix(tmp_path)} True"
    again = job(tmp_path, wheels, "again", lock=lock, uv=uv)
    again.ask("start")
    assert again.last_word()["exit_code"] == 0
    assert states(again) == ["hit"]
    # A script that has what it needs has the log for itself.
    assert log(again) == f"1.5 {prefix(tmp_path)} True\n"


def test_where_the_log_of_the_script_begins_is_told(
    tmp_path: Path, wheels: Wheels
) -> None:
    one = job(tmp_path, wheels)
    one.ask("start")
    one.last_word()
    (event,) = (e for e in one.lines("events.jsonl") if e["event"] == "prepared")
    assert one.log()[event["log_bytes"] :].decode() == f"{prefix(tmp_path)}\n"


def test_a_build_that_fails_says_which_package_and_why(
    tmp_path: Path, wheels: Wheels
) -> None:
    lock = wheels.lock(wheels.add("tiny"))
    wheels.add("tiny", code="tampered = True")
    failed = job(tmp_path, wheels, lock=lock)
    failed.ask("start")
    word = failed.last_word()
    assert word["reason"] == "prepare_failed"
    assert word["started"] is None
    assert "Hash mismatch for `tiny==1.0`" in word["detail"]
    assert word["detail"] in log(failed)
    # Nothing looks finished, and the next one builds it.
    good = wheels.lock(wheels.folder / "tiny-1.0-py3-none-any.whl")
    healed = job(tmp_path, wheels, "healed", lock=good)
    healed.ask("start")
    assert healed.last_word()["exit_code"] == 0
    assert states(healed) == ["building", "built"]


def test_a_python_that_is_not_there_is_told(tmp_path: Path, wheels: Wheels) -> None:
    for number, uv in enumerate((find_uv_bin(), None)):
        failed = job(tmp_path, wheels, str(number), python="3.3", uv=uv)
        failed.ask("start")
        assert "3.3" in failed.last_word()["detail"]


# Takes as long as the test wants: it stands for an installer that is slow.
_SLOW_UV = """#!/bin/sh
echo started >> {place}/builds
while [ ! -e {place}/go ]; do sleep 0.05; done
exec {uv} "$@"
"""


@pytest.fixture
def slow_uv(tmp_path: Path) -> str:
    program = tmp_path / "uv"
    program.write_text(_SLOW_UV.format(place=tmp_path, uv=find_uv_bin()))
    program.chmod(0o700)
    return str(program)


def builds(tmp_path: Path) -> int:
    path = tmp_path / "builds"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_two_that_need_the_same_build_it_once(
    tmp_path: Path, wheels: Wheels, slow_uv: str
) -> None:
    one, other = (job(tmp_path, wheels, name, uv=slow_uv) for name in ("one", "other"))
    one.ask("start")
    eventually(lambda: builds(tmp_path) == 1, "the first builds")
    other.ask("start")
    eventually(lambda: states(other) == ["waiting"], "the second waits")
    assert "Another run builds this environment; this one waits." in log(other)
    (tmp_path / "go").touch()
    assert one.last_word()["exit_code"] == other.last_word()["exit_code"] == 0
    assert states(other) == ["waiting", "hit"]
    assert builds(tmp_path) == 1


def test_a_cancel_ends_a_build_and_leaves_nothing_of_it(
    tmp_path: Path, wheels: Wheels, slow_uv: str
) -> None:
    one = job(tmp_path, wheels, uv=slow_uv)
    one.ask("start")
    eventually(lambda: builds(tmp_path) == 1, "it builds")
    half = environments(tmp_path) / KEY
    half.mkdir()
    (half / "pyvenv.cfg").touch()
    one.ask("cancel", "--grace", "1", "--reason", "not needed")
    word = one.last_word()
    assert word["reason"] == "canceled"
    assert word["started"] is None
    assert word["receipt"]["left"] == 0
    assert left(tmp_path) == {"cache.lock", f"{KEY}.lock"}


def test_a_build_that_is_killed_is_begun_anew_by_the_next(
    tmp_path: Path, wheels: Wheels, slow_uv: str
) -> None:
    one = job(tmp_path, wheels, uv=slow_uv)
    who = one.ask("start")
    eventually(lambda: builds(tmp_path) == 1, "it builds")
    os.kill(who["pid"], signal.SIGKILL)
    (tmp_path / "go").touch()
    other = job(tmp_path, wheels, "other")
    other.ask("start")
    assert other.last_word()["exit_code"] == 0
    assert log(other).endswith(f"{prefix(tmp_path)}\n")


def test_a_machine_with_neither_uv_nor_pip_is_told_what_it_lacks(
    tmp_path: Path, wheels: Wheels
) -> None:
    # As Debian's, without its package python3-venv.
    write_program(tmp_path / "python3.4", "#!/bin/sh\nexit 1\n")
    failed = job(tmp_path, wheels, python="3.4", uv=None)
    surroundings = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    detail = failed.run(env=surroundings)["detail"]
    assert detail == (
        "There is neither uv for this machine, nor venv and pip for"
        f" {tmp_path}/python3.4: install these, on Debian and Ubuntu as python3-venv."
    )
    assert log(failed) == f"The environment can't be made: {detail}\n"


def test_no_variable_of_a_run_has_a_say_in_what_others_get(
    tmp_path: Path, wheels: Wheels
) -> None:
    # A link into the folder of this run, and what there is of another interpreter.
    variables = {"UV_LINK_MODE": "symlink", "UV_NO_BINARY": "1", "PATH": str(tmp_path)}
    lock = wheels.lock(wheels.add("tiny", "1.5"))
    one = job(tmp_path, wheels, lock=lock, env=variables)
    (environments(tmp_path).parent / "uv.toml").write_text("no-binary = true\n")
    one.ask("start")
    assert one.last_word()["exit_code"] == 0, log(one)
    (module,) = environments(tmp_path).glob(f"{KEY}/lib/*/site-packages/tiny")
    assert not (module / "__init__.py").is_symlink()
