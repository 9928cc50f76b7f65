"""Spark's own notation: addresses of masters, and lines of configuration."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from aml_portal.errors import UserError

_HOST_AND_PORT = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"
_MASTER = re.compile(
    r"local(?:\[(?:\*|[1-9]\d{0,3})(?:,[1-9]\d{0,2})?\])?"
    rf"|spark://{_HOST_AND_PORT}(?:,{_HOST_AND_PORT})*"
    rf"|k8s://(?:https?://)?{_HOST_AND_PORT}"
    r"|yarn"
)
_ADDRESS = re.compile(_HOST_AND_PORT)
_KEY = re.compile(r"spark\.[A-Za-z0-9_./-]+")
_MEMORY = re.compile(r"[1-9]\d{0,6}[kmgt]b?", re.IGNORECASE)
# As Spark's own spark.redaction.regex has it, by which it hides values in its pages.
_SECRET = re.compile(r"secret|password|token|access[.]?key|credential", re.IGNORECASE)
_LONGEST_VALUE = 32_000
_PY_FILES = {".py", ".zip", ".egg"}

# What the portal itself says to spark-submit, and why nobody else may.
_TAKEN = {
    "spark.master": "The master is a setting of the compute target.",
    "spark.app.name": "The application is called as its run, to be found by that.",
    "spark.submit.pyFiles": "Name the files under Python files.",
    "spark.submit.deployMode": "The driver runs in client mode, as a process of the"
    " portal's runner, so that its log, its exit code and its end are the run's: in"
    " cluster mode none of that would be known.",
}


def check_master(master: str) -> None:
    """Raise UserError if `master` is not an address of one, for spark-submit."""
    ports = [int(each.rpartition(":")[2]) for each in addresses_of(master)]
    if not _MASTER.fullmatch(master) or any(not 0 < port <= 65535 for port in ports):
        raise UserError(
            "This is not the address of a Spark master.",
            "Write spark://HOST:PORT, with HOST:PORT,… for each that stands by,"
            " local[*], local[4], yarn, or k8s://HOST:PORT.",
        )


def addresses_of(master: str) -> list[str]:
    """HOST:PORT of each place where the master may be; none for local and yarn."""
    return _ADDRESS.findall(master.partition("://")[2])


def check_memory(text: str) -> None:
    if not _MEMORY.fullmatch(text):
        raise UserError(
            f"“{text}” is not an amount of memory.",
            "Write a number and its unit, such as 512m or 4g.",
        )


def check_py_files(names: Iterable[str]) -> None:
    """Raise UserError for what can't be a file that spark-submit sends along."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"{name} is not below the source.", "Name a file of the source."
            )
        if "," in name or path.suffix not in _PY_FILES:
            raise UserError(
                f"{name} can't be sent to executors.",
                "Name .py, .zip and .egg files, without commas in their names.",
            )


def parse_conf(text: str) -> dict[str, str]:
    """The configuration that lines such as `spark.x.y=value` tell.

    Raises UserError, with the number of the line, for what is none, and for what the
    portal says itself.
    """
    conf: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not _KEY.fullmatch(key):
            raise UserError(
                f"Line {number} is not spark.NAME=VALUE.",
                "Write one property of Spark a line, such as"
                " spark.sql.shuffle.partitions=8.",
            )
        if key in conf:
            raise UserError(f"{key} is given twice.", "Remove one of the lines.")
        conf[key] = value
    check_conf(conf)
    return conf


def check_conf(conf: Mapping[str, str]) -> None:
    for key, value in conf.items():
        if key in _TAKEN:
            raise UserError(f"{key} can't be set here. {_TAKEN[key]}")
        if "\0" in value or len(value) > _LONGEST_VALUE:
            raise UserError(
                f"The value of {key} is too long, or contains a NUL character.",
                "Give another one.",
            )


def spell_conf(conf: Mapping[str, str]) -> str:
    """The lines that `parse_conf` reads."""
    return "\n".join(f"{key}={value}" for key, value in conf.items())


def looks_secret(key: str) -> bool:
    return bool(_SECRET.search(key))


def as_properties(conf: Mapping[str, str]) -> str:
    """The file that spark-submit reads, where a backslash begins an escape.

    Nobody sees it in the arguments of a process.
    """
    escaped = ((key, value.replace("\\", "\\\\")) for key, value in conf.items())
    return "".join(f"{key}={value}\n" for key, value in escaped)
