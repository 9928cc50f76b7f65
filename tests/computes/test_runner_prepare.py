"""Environments that a job needs, built on its machine before its script starts."""

import json
import os
import platform
import signal
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from tests.computes.jobs import JobFolder
from tests.environments.wheels import Wheels
from tests.waiting import eventually

PYTHON = ".".join(platform.python_version_tuple()[:2])
SHOW = "import sys, tiny; print(tiny.VERSION, sys.prefix, 'tiny' in sys.modules)"


@pytest.fixture
def wheels(tmp_path: Path) -> Wheels:
    return Wheels(tmp_path / "wheels")


def job(tmp_path: Path, wheels: Wheels, name: str = "job", **prepare: Any) -> JobFolder:
    asked = {
        "key": "k" * 8,
        "python": PYTHON,
        "lock": "",
        "uv": find_uv_bin(),
        "keep_bytes": 10**9,
        **prepare,
    }
    script = SHOW if asked["lock"] else "import sys; print(sys.prefix)"
    python = tmp_path / "root/environments" / asked["key"] / "bin/python"
    argv = [str(python), "train.py"]
    folder = tmp_path / "root/jobs" / name
    made = JobFolder(folder, script, prepare=asked, argv=argv)
    made.give_secrets(build={"env": wheels.settings})
    return made


def ended(job: JobFolder) -> dict[str, Any]:
    eventually((job.path / "exit.json").exists, "the job has ended")
    word: dict[str, Any] = json.loads((job.path / "exit.json").read_bytes())
    return word


def states(job: JobFolder) -> list[str]:
    lines = (job.path / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [each["state"] for each in events if each["event"] == "environment"]


def log(job: JobFolder) -> str:
    return (job.path / "logs/std_log.txt").read_text()


def prefix(tmp_path: Path) -> str:
    return str(tmp_path / "root/environments" / ("k" * 8))


@pytest.mark.parametrize("uv", [find_uv_bin(), None], ids=["uv", "pip"])
def test_the_script_finds_what_was_locked(
    tmp_path: Path, wheels: Wheels, uv: str | None
) -> None:
    lock = wheels.lock(wheels.add("tiny", "1.5"))
    first = job(tmp_path, wheels, lock=lock, uv=uv)
    first.ask("start")
    assert ended(first)["exit_code"] == 0, log(first)
    assert states(first) == ["building", "built"]
    assert log(first).splitlines()[-1] == f"1.5 {prefix(tmp_path)} True"
    again = job(tmp_path, wheels, "again", lock=lock, uv=uv)
    again.ask("start")
    assert ended(again)["exit_code"] == 0
    assert states(again) == ["hit"]
    # A script that has what it needs has the log for itself.
    assert log(again) == f"1.5 {prefix(tmp_path)} True\n"


def test_where_the_log_of_the_script_begins_is_told(
    tmp_path: Path, wheels: Wheels
) -> None:
    one = job(tmp_path, wheels)
    one.ask("start")
    ended(one)
    lines = (one.path / "events.jsonl").read_text().splitlines()
    (event,) = (e for e in map(json.loads, lines) if e["event"] == "prepared")
    whole = (one.path / "logs/std_log.txt").read_bytes()
    assert whole[event["log_bytes"] :].decode() == f"{prefix(tmp_path)}\n"


def test_a_build_that_fails_says_which_package_and_why(
    tmp_path: Path, wheels: Wheels
) -> None:
    lock = wheels.lock(wheels.add("tiny"))
    wheels.add("tiny", code="tampered = True")
    failed = job(tmp_path, wheels, lock=lock)
    failed.ask("start")
    word = ended(failed)
    assert word["reason"] == "prepare_failed"
    assert word["started"] is None
    assert "Hash mismatch for `tiny==1.0`" in word["detail"]
    assert word["detail"] in log(failed)
    # Nothing looks finished, and the next one builds it.
    good = wheels.lock(wheels.folder / "tiny-1.0-py3-none-any.whl")
    healed = job(tmp_path, wheels, "healed", lock=good)
    healed.ask("start")
    assert ended(healed)["exit_code"] == 0
    assert states(healed) == ["building", "built"]


def test_a_python_that_is_not_there_is_told(tmp_path: Path, wheels: Wheels) -> None:
    for number, uv in enumerate((find_uv_bin(), None)):
        failed = job(tmp_path, wheels, str(number), python="3.3", uv=uv)
        failed.ask("start")
        assert "3.3" in ended(failed)["detail"]


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
    assert ended(one)["exit_code"] == ended(other)["exit_code"] == 0
    assert states(other) == ["waiting", "hit"]
    assert builds(tmp_path) == 1


def test_a_cancel_ends_a_build(tmp_path: Path, wheels: Wheels, slow_uv: str) -> None:
    one = job(tmp_path, wheels, uv=slow_uv)
    one.ask("start")
    eventually(lambda: builds(tmp_path) == 1, "it builds")
    one.ask("cancel", "--grace", "1", "--reason", "not needed")
    word = ended(one)
    assert word["reason"] == "canceled"
    assert word["started"] is None
    assert word["receipt"]["left"] == 0
    assert not (tmp_path / "root/environments" / ("k" * 8 + ".json")).exists()


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
    assert ended(other)["exit_code"] == 0
    assert log(other).endswith(f"{prefix(tmp_path)}\n")


def test_those_not_used_for_longest_go_first_and_none_in_use(
    tmp_path: Path, wheels: Wheels
) -> None:
    def made() -> set[str]:
        return {path.stem for path in (tmp_path / "root/environments").glob("*.json")}

    def run(key: str, script: str = "", keep: int = 10**9) -> JobFolder:
        one = job(tmp_path, wheels, f"job-{key}", key=key, keep_bytes=keep)
        if script:
            (one.work / "train.py").write_text(script)
        one.ask("start")
        return one

    waits = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
    used = run("in-use", waits)
    eventually(lambda: "in-use" in made(), "it is built")
    ended(run("older"))
    ended(run("newer"))
    assert made() == {"in-use", "older", "newer"}
    last = run("last", keep=1)
    ended(last)
    assert made() == {"in-use", "last"}
    assert states(last) == ["building", "built", "removed", "removed"]
    (used.work / "go").touch()
    assert ended(used)["exit_code"] == 0
