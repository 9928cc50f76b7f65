"""Environments on a machine whose room is limited: who stays, and who goes."""

from pathlib import Path

import pytest

from tests.computes.environment_jobs import environments, job, left, states
from tests.computes.jobs import JobFolder, is_alive
from tests.environments.wheels import Wheels
from tests.waiting import eventually

_WAITS = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
_LITTLE = 10


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = Wheels(folder / "wheels")

    def begin(self, key: str, *, keep: int = 10**9, package: str = "") -> JobFolder:
        lock = self.wheels.lock(self.wheels.add(package)) if package else ""
        one = job(
            *(self.folder, self.wheels, f"job-{key}"),
            key=key,
            keep_bytes=keep,
            lock=lock,
        )
        (one.work / "train.py").write_text("")
        return one

    def run(self, key: str, *, keep: int = 10**9, package: str = "") -> JobFolder:
        one = self.begin(key, keep=keep, package=package)
        assert one.run()["exit_code"] == 0, one.log()
        return one

    def use(self, key: str) -> JobFolder:
        """Have it in use by a job that waits for its file `go`."""
        one = self.begin(key)
        (one.work / "train.py").write_text(_WAITS)
        one.start()
        eventually(lambda: "started" in one.events(), "it is in use")
        return one

    @property
    def built(self) -> set[str]:
        return {path.stem for path in environments(self.folder).glob("*.json")}

    @property
    def packages(self) -> set[str]:
        """Those that uv has kept unpacked."""
        kept = environments(self.folder).glob("cache/archive-v*/*/*.dist-info")
        return {path.name.split("-")[0] for path in kept}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Below a folder whose name a pattern would read otherwise."""
    return Machine(tmp_path / "team [a]")


def test_those_not_used_for_longest_go_first_and_none_in_use(machine: Machine) -> None:
    used = machine.use("in-use")
    machine.run("older")
    machine.run("newer")
    assert machine.built == {"in-use", "older", "newer"}
    last = machine.run("last", keep=_LITTLE)
    assert machine.built == {"in-use", "last"}
    assert states(last) == ["building", "built", "removed", "removed"]
    (used.work / "go").touch()
    assert used.last_word()["exit_code"] == 0


def test_one_stays_that_a_script_uses_whose_supervisor_was_killed(
    machine: Machine,
) -> None:
    used = machine.use("in-use")
    used.kill_supervisor()
    machine.run("last", keep=_LITTLE)
    assert machine.built == {"in-use", "last"}
    (used.work / "go").touch()
    script = used.lines("events.jsonl")[-1]["pid"]
    eventually(lambda: not is_alive(script), "the script has ended")
    machine.run("very-last", keep=_LITTLE)
    assert machine.built == {"very-last"}


def test_one_that_was_used_again_stays_longer(machine: Machine) -> None:
    one, other = (machine.run(key) for key in ("one", "other"))
    sizes = [each.lines("events.jsonl")[2]["bytes"] for each in (one, other)]
    JobFolder.run(job(machine.folder, machine.wheels, "again", key="one"))
    machine.run("last", keep=sum(sizes))
    assert machine.built == {"one", "last"}


def test_one_that_was_spoilt_while_it_is_used_is_built_anew_after_that(
    machine: Machine,
) -> None:
    used = machine.use("spoilt")
    (environments(machine.folder) / "spoilt/bin/python").unlink()
    other = job(machine.folder, machine.wheels, "other", key="spoilt")
    other.start()
    eventually(lambda: states(other) == ["waiting"], "it waits")
    (used.work / "go").touch()
    assert used.last_word()["exit_code"] == 0
    assert other.last_word()["exit_code"] == 0
    assert states(other) == ["waiting", "building", "built"]


def test_packages_that_no_environment_has_any_more_go_with_the_last_one(
    machine: Machine,
) -> None:
    used = machine.use("in-use")
    machine.run("gone", package="alone")
    machine.run("last", keep=_LITTLE, package="needed")
    assert machine.packages == {"needed"}
    # What is gone is fetched anew.
    machine.run("again", package="alone")
    assert machine.packages == {"alone", "needed"}
    (used.work / "go").touch()
    used.last_word()


def test_packages_stay_while_there_is_room(machine: Machine) -> None:
    size = machine.run("gone", package="alone").lines("events.jsonl")[2]["bytes"]
    machine.run("last", keep=size + 5_000, package="needed")
    assert machine.built == {"last"}
    assert machine.packages == {"alone", "needed"}


def test_what_a_build_that_was_killed_has_left_goes_with_the_next_build(
    machine: Machine,
) -> None:
    half = environments(machine.folder) / "half"
    (half / "bin").mkdir(parents=True)
    last = machine.run("last")
    assert states(last) == ["building", "built", "removed"]
    assert left(machine.folder) >= {"last", "last.json"}
    assert not half.exists()


def test_what_a_script_has_spoilt_is_removed_all_the_same(machine: Machine) -> None:
    machine.run("locked", package="tiny")
    (folder,) = environments(machine.folder).glob("locked/lib")
    outside = machine.folder / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (environments(machine.folder) / "linked").symlink_to(outside)
    (environments(machine.folder) / "linked.json").write_text("{}")
    folder.chmod(0o500)
    machine.run("other", keep=_LITTLE)
    assert machine.built == {"other"}
    assert {"locked", "linked"}.isdisjoint(left(machine.folder))
    assert (outside / "kept").exists()
    # Its place can be taken again.
    (environments(machine.folder) / "taken").symlink_to(outside)
    machine.run("taken")
    assert (outside / "kept").exists()
