"""What is carried out on the machine where Spark is."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from computes.launchers.spark import there

THERE = Path(there.__file__)
KNOWN = "Connected to Spark cluster with app ID app-1-0001\n"
WAITS = "WARN TaskSchedulerImpl: Initial job has not accepted any resources; check\n"
NOTHING = {"application": "", "waits_for": "", "hint": "", "is_over": False}


def ask(
    verb: str, *, environment: dict[str, str] | None = None, **fields: Any
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", THERE.read_text()],
        env=environment,
        input=json.dumps({"verb": verb, **fields}),
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def seen_in(folder: Path) -> dict[str, Any]:
    said = ask("look", web_ui="", folders={"job": str(folder)})
    seen: dict[str, Any] = said["answer"]["job"]
    return seen


def write_log(folder: Path, content: bytes) -> None:
    (folder / "logs").mkdir()
    (folder / "logs/std_log.txt").write_bytes(content)


def test_it_runs_on_an_older_python_with_nothing_installed() -> None:
    tree = ast.parse(THERE.read_text(), feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported - {"__future__"} <= sys.stdlib_module_names


def test_spark_is_found_where_it_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/spark-submit").touch()
    named: dict[str, Any] = {"interpreter": "/nowhere", "java_home": ""}
    said = ask("find", spark_home=str(tmp_path), **named)
    assert said == {"answer": {"home": str(tmp_path), "java_home": ""}}
    said = ask("find", spark_home=str(tmp_path / "bin"), **named)
    assert "There is no Spark in" in said["error"]


def test_a_home_may_be_below_that_of_the_account(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("spark-submit", "java"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    there: dict[str, Any] = {"spark_home": "~", "java_home": "~"}
    environment = {"HOME": str(tmp_path), "PATH": ""}
    said = ask("find", interpreter="/nowhere", environment=environment, **there)
    assert said["answer"] == {"home": str(tmp_path), "java_home": str(tmp_path)}
    environment["HOME"] = "/nowhere"
    said = ask("find", interpreter="/nowhere", environment=environment, **there)
    assert said["error"] == "There is no Java in ~."


def test_the_properties_of_a_machine_come_first(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/spark-defaults.conf").write_text("spark.a 1\nspark.b=2")
    path = tmp_path / "spark.conf"
    ask("write_conf", home=str(tmp_path), path=str(path), properties="spark.b=3\n")
    assert path.read_text() == "spark.a 1\nspark.b=2\nspark.b=3\n"
    assert path.stat().st_mode & 0o077 == 0


def test_a_job_without_a_log_shows_nothing(tmp_path: Path) -> None:
    assert seen_in(tmp_path / "none") == NOTHING


@pytest.mark.parametrize(
    ("log", "seen"),
    [
        (KNOWN + "x" * 200_000, {"application": "app-1-0001"}),
        (
            "Submitted application application_1_0002\n",
            {"application": "application_1_0002"},
        ),
        ("app ID app-1<script>\n", {}),
        ("Failed to connect to master a:7077\n", {"waits_for": "master"}),
        (KNOWN + WAITS, {"application": "app-1-0001", "waits_for": "executors"}),
        (KNOWN + WAITS + "Starting task 0.0\n", {"application": "app-1-0001"}),
    ],
)
def test_a_log_tells_what_spark_makes_of_a_job(
    tmp_path: Path, log: str, seen: dict[str, str]
) -> None:
    write_log(tmp_path, log.encode())
    assert seen_in(tmp_path) == NOTHING | seen


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        ("All masters are unresponsive! Giving up.", "The Spark master did not answer"),
        ("java.lang.UnsupportedClassVersionError: x", "too old for this Spark"),
        ('Cannot run program "/opt/python": error=2', "this Python at the same path"),
        ("[PYTHON_VERSION_MISMATCH] Python in worker", "another version of Python"),
        ("java.lang.OutOfMemoryError: Java heap space", "too little memory"),
        ("ExecutorLostFailure (executor 0 exited", "Executors were lost"),
        ('Exception in thread "main" a.B: Bad words\n\tat', "Spark says: Bad words"),
    ],
)
def test_what_spark_prints_is_explained(tmp_path: Path, log: str, hint: str) -> None:
    write_log(tmp_path, b"\xff\xfe\n" + log.encode())
    assert hint in seen_in(tmp_path)["hint"]


def test_a_job_is_over_once_the_runner_has_said_so(tmp_path: Path) -> None:
    write_log(tmp_path, KNOWN.encode())
    (tmp_path / "exit.json").touch()
    assert seen_in(tmp_path)["is_over"]


def test_a_master_that_is_away_is_told_with_each_address() -> None:
    said = ask("master", addresses=["127.0.0.1:1", "[::1]:1"], web_ui="")
    assert "127.0.0.1:1: Connection refused; [::1]:1: " in said["error"]
