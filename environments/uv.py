"""Runs `uv`, the program that resolves packages, with the portal's own indexes.

It comes with the portal as a package. Nothing of a definition is on its command line,
and no secret is: those are in its environment alone.
"""

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings

from aml_portal.errors import TargetError
from aml_portal.secret_names import without_passwords
from computes.hosts import Host
from environments.indexes import Indexes
from environments.programs import ProgramTimeout, run_program

_ALWAYS = ("--no-config", "--no-progress", "--color", "never")
_QUIETLY = ("--quiet",)
# Of the version that the portal has itself: its hashes for every kind of machine.
_PINNED = Path(__file__).with_name("uv.txt")
_FETCH_SECONDS = 300.0
_BUILD_FAILED = re.compile(r"^error: Failed to (?:download and )?build", re.MULTILINE)
# Seconds for a machine to end what has taken too long.
_TO_END = 30.0
# The longest answer of a machine that is taken for one.
_LONGEST = 8 << 20


@dataclass(frozen=True, kw_only=True)
class UvAnswer:
    has_succeeded: bool
    output: str
    # What it says beside: errors, warnings.
    remarks: str
    # Why a package could not be built, in a line; "" if that was not it.
    build_error: str = ""


def program() -> Path:
    return Path(sys.executable).with_name("uv")


def program_for(machine: str) -> Path | None:
    """uv for machines of a kind, such as "aarch64"; None if it can't be had.

    That of another kind than the portal's own is fetched from the index, once.
    """
    if machine == platform.machine():
        return program()
    if not re.fullmatch(r"\w+", machine, re.ASCII):
        # It says so itself, and names a folder with it.
        return None
    kept = settings.PACKAGES_FOLDER / "programs" / f"{_version()}-{machine}" / "uv"
    if not kept.exists() and not _fetch(kept, machine):
        return None
    return kept


def _version() -> str:
    return _PINNED.read_text().split(maxsplit=1)[0].replace("==", "-")


def _fetch(kept: Path, machine: str) -> bool:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as folder:
        try:
            answer = run_uv(
                *("pip", "install", "--target", folder, "--no-deps", "--no-build"),
                *("--python-platform", f"{machine}-manylinux_2_28"),
                *("--require-hashes", "--requirement", _PINNED.name),
                files={_PINNED.name: _PINNED.read_bytes()},
                seconds=_FETCH_SECONDS,
            )
        except ProgramTimeout:
            return False
        if answer.has_succeeded:
            shutil.move(Path(folder, "bin/uv"), kept)
    return answer.has_succeeded


def run_uv(
    *arguments: str,
    files: Mapping[str, bytes],
    seconds: float,
    variables: Mapping[str, str] = {},
    loud: bool = False,
) -> UvAnswer:
    """Run uv in a folder of its own that holds `files`; `loud` has it tell warnings.

    Raises ProgramTimeout.
    """
    indexes = Indexes.configured()
    always = (*_ALWAYS, "--no-python-downloads", *(() if loud else _QUIETLY))
    with TemporaryDirectory(prefix="aml-uv-") as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        code, output, remarks = run_program(
            [program(), *always, *arguments],
            folder=Path(folder),
            environment={**_environment(), **indexes.for_uv(), **variables},
            seconds=seconds,
        )
    return UvAnswer(
        has_succeeded=code == 0,
        output=output.decode(errors="replace"),
        remarks=without_passwords(remarks.decode(errors="replace")),
    )


def run_uv_on(
    host: Host,
    job: str,
    *arguments: str,
    uv: str,
    env: Mapping[str, str],
    files: Mapping[str, bytes],
    seconds: float,
) -> UvAnswer:
    """As `run_uv`, on the machine of a job: what is built there runs its code there.

    Raises TargetError.
    """
    place = host.place(job)
    asked = {
        "uv": uv,
        "arguments": [*_ALWAYS, *_QUIETLY, *arguments],
        "files": {name: data.decode() for name, data in files.items()},
        "env": dict(env),
        "seconds": seconds,
    }
    command = [place.python, "-I", "-S", place.runner, "resolve", place.folder]
    given = json.dumps(asked).encode()
    ran = host.run(command, stdin=given, seconds=seconds + _TO_END)
    try:
        said = json.loads(ran.out[:_LONGEST])
        output, remarks, reason = (str(said[key]) for key in ("out", "err", "reason"))
        has_succeeded = said["code"] == 0
    except (ValueError, TypeError, KeyError) as error:
        raise TargetError(f"uv can't be run there: {ran.complaint}.") from error
    is_build = _BUILD_FAILED.search(remarks)
    return UvAnswer(
        has_succeeded=has_succeeded,
        output=output,
        remarks=without_passwords(remarks),
        build_error=without_passwords(reason) if is_build else "",
    )


def _environment() -> dict[str, str]:
    found = {
        "PATH": os.defpath,
        # There it looks for a netrc file, unless another one is named.
        "HOME": os.path.expanduser("~"),  # noqa: PTH111 - there may be none
        "UV_CACHE_DIR": str(settings.PACKAGES_FOLDER),
        "UV_PYTHON": sys.executable,
        # Nobody is there to type a password.
        "GIT_TERMINAL_PROMPT": "0",
    }
    if settings.PYTHON_NETRC:
        found["NETRC"] = settings.PYTHON_NETRC
    return found
