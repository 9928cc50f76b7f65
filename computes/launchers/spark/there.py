"""Looks after Spark on the machine where the driver runs.

The portal gives the text of this file to the Python there, and a question as JSON on
its standard input: standard library only, Python 3.8 or newer. It answers with JSON:
`answer`, or `error` in words and `advice`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    Json = dict[str, Any]

_SECONDS = 30
_CONNECT_SECONDS = 5
_LONGEST_ANSWER = 16 << 20
# How much of a log is looked at: what Spark says at its beginning, and lately.
_HEAD = 512 << 10
_TAIL = 64 << 10

_APPLICATION = re.compile(
    rb"Connected to Spark cluster with app ID ([\w.-]{1,100})"
    rb"|Submitted application (application_\w{1,100})"
)
_NO_MASTER = b"Failed to connect to master"
_NO_RESOURCES = b"Initial job has not accepted any resources"
_BEGINS = b"Starting task"
# What Spark prints in its own words, and what to make of it.
_HINTS = {
    b"All masters are unresponsive! Giving up": "The Spark master did not answer: look"
    " whether it runs, and whether its address in the settings of the compute target is"
    " right.",
    b"UnsupportedClassVersionError": "The Java on the machine is too old for this"
    " Spark: version 4 needs Java 17.",
    b"Cannot run program": "The workers do not have this Python at the same path: name"
    " theirs by spark.pyspark.python.",
    b"PYTHON_VERSION_MISMATCH": "The workers have another version of Python than the"
    " driver: name theirs by spark.pyspark.python.",
    b"java.lang.OutOfMemoryError": "Java had too little memory: give the driver or the"
    " executors more.",
    b"ExecutorLostFailure": "Executors were lost during the work: look whether their"
    " workers still run, and whether they had enough memory.",
}
# How spark-submit says what it does not accept.
_REFUSAL = re.compile(rb'Exception in thread "main" [\w.$]+: ([^\r\n]{1,300})')


class Trouble(Exception):
    """Something is not as it should be there: in words, and what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


# Where Spark is


def find(
    *, interpreter: str, spark_home: str, java_home: str, future_home: str = ""
) -> Json:
    """The folder of Spark: the named one, or the one that the interpreter knows.

    Else the account's, from its SPARK_HOME or its PATH. Without Java it is of no use.
    An interpreter that is still to be built knows the one at `future_home`, if any.
    """
    _java(java_home)
    java_home = str(Path(java_home).expanduser()) if java_home else ""
    is_ahead = future_home and not spark_home
    home = future_home if is_ahead else _home(interpreter, spark_home)
    return {"home": str(home), "java_home": java_home}


def _home(interpreter: str, spark_home: str) -> Path:
    if spark_home:
        named = Path(spark_home).expanduser()
        if not _is_home(named):
            raise Trouble(f"There is no Spark in {named}.", "Correct its folder.")
        return named
    for home in _guesses(interpreter):
        if _is_home(home):
            return home
    raise Trouble(
        "No Spark was found: the environment of the run has no pyspark, and there is"
        " no spark-submit in the PATH.",
        "Use an environment with pyspark, or give the folder of Spark in the settings"
        " of the compute target.",
    )


def _guesses(interpreter: str) -> Iterator[Path]:
    code = "import importlib.util as i; print(i.find_spec('pyspark').origin)"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [interpreter, "-I", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=True,
        )
        # The package is a whole Spark.
        yield Path(os.fsdecode(done.stdout.strip())).parent
    if os.environ.get("SPARK_HOME"):
        yield Path(os.environ["SPARK_HOME"])
    submit = shutil.which("spark-submit")
    if submit:
        yield Path(submit).resolve().parent.parent


def _is_home(folder: Path) -> bool:
    return (folder / "bin/spark-submit").is_file()


def _java(home: str) -> str:
    """The program, as spark-submit finds it."""
    home = home or os.environ.get("JAVA_HOME", "")
    named = str(Path(home).expanduser() / "bin/java")
    program = shutil.which(named if home else "java")
    if not program:
        where = f"in {home}" if home else "in the PATH"
        raise Trouble(
            f"There is no Java {where}.",
            "Install Java 17 or newer, or give its folder in the settings of the"
            " compute target.",
        )
    return program


# The start


def write_conf(*, home: str, path: str, properties: str) -> Json:
    """Write the properties of a job, after those that the machine has for all."""
    folder = Path(os.environ.get("SPARK_CONF_DIR") or f"{home}/conf")
    defaults = b""
    with contextlib.suppress(OSError):
        defaults = (folder / "spark-defaults.conf").read_bytes() + b"\n"
    # Whole or not at all: a driver that was started already may be reading it.
    temporary = Path(f"{path}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(defaults + properties.encode())
    temporary.replace(path)
    return {}


# Checks


def java(*, java_home: str) -> Json:
    """What `java -version` says."""
    said = _run([_java(java_home), "-version"], {})
    version = re.search(r'version "([^"]+)"', said)
    if not version:
        raise Trouble(f"Java does not tell its version: {_last_line(said)}")
    return {"version": version[1]}


def spark(*, interpreter: str, spark_home: str, java_home: str) -> Json:
    """What `spark-submit --version` says."""
    found = find(interpreter=interpreter, spark_home=spark_home, java_home=java_home)
    home = found["home"]
    more = {"SPARK_HOME": home}
    if found["java_home"]:
        more["JAVA_HOME"] = found["java_home"]
    said = _run([f"{home}/bin/spark-submit", "--version"], more)
    version = re.search(r"version (\d[\w.-]*)", said)
    if version:
        return {"version": version[1], "home": home}
    hint = _hint_of(said.encode())
    raise Trouble(hint or f"spark-submit does not start: {_last_line(said)}")


def master(*, addresses: list[str], web_ui: str) -> Json:
    """The first address that takes a connection; and what the master's page tells."""
    import socket

    refusals = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            where = (host.strip("[]"), int(port))
            socket.create_connection(where, _CONNECT_SECONDS).close()
        except OSError as error:
            refusals.append(f"{address}: {error.strerror or error}")
        else:
            page = _master_page(web_ui) if web_ui else None
            return {"address": address, "page": page}
    raise Trouble(
        f"The Spark master does not answer ({'; '.join(refusals)}).",
        "Look whether it runs, and whether its address is right.",
    )


def _master_page(web_ui: str) -> Json:
    """What a standalone master tells of itself as JSON."""
    # It takes longer to import than all the rest, and not each question needs it.
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"{web_ui.rstrip('/')}/json/"
    try:
        with opener.open(url, timeout=_CONNECT_SECONDS) as answer:
            page: Json = json.loads(answer.read(_LONGEST_ANSWER))
        return {
            "workers": int(page["aliveworkers"]),
            "cores": int(page["cores"]),
            "used": int(page["coresused"]),
            "running": {each["id"]: int(each["cores"]) for each in page["activeapps"]},
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Trouble(
            f"There is no page of a Spark master at {web_ui}"
            f" ({getattr(error, 'reason', 'it tells something else')}).",
            "Correct its address, or leave it empty.",
        ) from error


def _run(command: list[str], more: dict[str, str]) -> str:
    """All that a program prints."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"{command[0]} did not end within {_SECONDS} s.") from None
    return done.stdout.decode(errors="replace")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1][:300]


# What is known of jobs


def look(*, web_ui: str, folders: dict[str, str]) -> Json:
    """What Spark makes of each job, by its log and by the page of the master."""
    running: dict[str, int] = {}
    # Only for the words; the logs have some too.
    with contextlib.suppress(Trouble):
        running = _master_page(web_ui)["running"] if web_ui else {}
    return {job: _sight(Path(path), running) for job, path in folders.items()}


def _sight(folder: Path, running: dict[str, int]) -> Json:
    # Before the log, which is whole once the runner has said its last word.
    is_over = (folder / "exit.json").exists()
    head, tail = _ends(folder / "logs/std_log.txt")
    said = _APPLICATION.search(head)
    application = (said[1] or said[2]).decode() if said else ""
    cores = running.get(application)
    return {
        "application": application,
        "waits_for": _what_it_waits_for(application, cores, tail),
        "hint": _hint_of(head + tail),
        "is_over": is_over,
    }


def _what_it_waits_for(application: str, cores: int | None, tail: bytes) -> str:
    if not application:
        return "master" if _NO_MASTER in tail else ""
    if cores is not None:
        return "" if cores else "executors"
    # It says so again and again, until a task begins.
    waits = tail.rfind(_NO_RESOURCES) > tail.rfind(_BEGINS)
    return "executors" if waits else ""


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The beginning and the end of a log, however long it is."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            return head, file.read(_TAIL)
    except OSError:
        return b"", b""


def _hint_of(said: bytes) -> str:
    known = next((hint for words, hint in _HINTS.items() if words in said), "")
    refusal = _REFUSAL.search(said)
    if known or not refusal:
        return known
    return f"Spark says: {refusal[1].decode(errors='replace').strip()}"


_VERBS: dict[str, Any] = {
    "find": find,
    "write_conf": write_conf,
    "java": java,
    "spark": spark,
    "master": master,
    "look": look,
}


def main() -> None:
    asked = json.load(sys.stdin)
    said: Json
    try:
        said = {"answer": _VERBS[asked.pop("verb")](**asked)}
    except Trouble as trouble:
        said = {"error": str(trouble), "advice": trouble.advice}
    except OSError as error:
        said = {"error": f"{error}."}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
