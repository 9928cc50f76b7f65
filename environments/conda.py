"""Environments of conda: which packages one comes to on a platform."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import unquote

from django.conf import settings

from aml_portal.errors import UserError
from environments import channels
from environments.definition import DEFAULT_PYTHON, CondaDependencies
from environments.egress import egress_of
from environments.indexes import Indexes
from environments.programs import run_program

Record = dict[str, Any]

_SOLVER = Path(__file__).with_name("conda_solver.py")
_SUBDIRS = {
    "x86_64": "linux-64",
    "aarch64": "linux-aarch64",
    "ppc64le": "linux-ppc64le",
}
_LONGEST = 700
_TREE = re.compile(r"[├└│─]+")
_NONE_FOUND = re.compile(r"No candidates were found for (.+?)(?: \*)?\.$")
_NO_CHANNEL = re.compile(r"could not find subdir '.*' in channel '(.*?)/?'")
_REFUSED = re.compile(r"HTTP status client error \((\d+ [^)]*)\) for url \((.*?)\)")
_AWAY = re.compile(r"error sending request for url \((.*?)\)")


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What packages of conda look at of a machine; versions that it lacks are ""."""

    machine: str
    glibc: str = ""
    cuda: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Of a machine as computes/runner/facts.py tells it."""
        return cls(
            machine=str(facts["machine"]),
            glibc=_version_in(facts.get("glibc")),
            cuda=_version_in(facts.get("cuda")),
        )

    def __str__(self) -> str:
        versions = {"glibc": self.glibc, "cuda": self.cuda}
        known = [f"{name}={version}" for name, version in versions.items() if version]
        return " ".join([self.subdir, *known])

    def serves(self, other: str) -> bool:
        """Whether what was solved for another platform, as text, can be used here.

        It can with newer versions of the same things, so that an update of a driver
        changes no environment.
        """
        subdir, *known = str(self).split()
        others_subdir, *others = other.split()
        mine, theirs = (dict(map(_version, each)) for each in (known, others))
        return (subdir, mine.keys()) == (others_subdir, theirs.keys()) and all(
            mine[name] >= theirs[name] for name in mine
        )

    @property
    def subdir(self) -> str:
        """The platform's name with conda. Raises UserError if it has none."""
        subdir = _SUBDIRS.get(self.machine)
        if subdir is None:
            raise UserError(f"There are no packages of conda for {self.machine}.")
        return subdir

    @property
    def virtual_packages(self) -> dict[str, str]:
        versions = {"__unix": "0", "__linux": "0"}
        versions |= {"__glibc": self.glibc, "__cuda": self.cuda}
        return {name: version for name, version in versions.items() if version}


def solve(
    dependencies: CondaDependencies, platform: Platform, *, seconds: float
) -> list[Record]:
    """The packages, as the index of their channel has them: address, hash, size, ….

    Raises UserError with what can't be, in one sentence, and ProgramTimeout.
    """
    specs = list(dependencies.packages)
    if not dependencies.names_python:
        specs.append(f"python={DEFAULT_PYTHON}")
    named = channels.addresses(dependencies.channels)
    asked = {
        "specs": specs,
        "channels": named,
        "subdir": platform.subdir,
        "virtual": platform.virtual_packages,
        "auth": channels.credentials(),
        "cache": str(settings.PACKAGES_FOLDER / "conda"),
    }
    with egress_of(dependencies) as egress:
        answer = _ask(asked, seconds, egress.variables)
        if "records" not in answer:
            egress.check()
            raise UserError(_sentence(answer, [*egress.unreachable.values()]))
    records: list[Record] = answer["records"]
    for each in records:
        _check_record(each, named)
    return sorted(records, key=lambda each: str(each["name"]))


def _version_in(told: Any) -> str:
    """What a machine says may be anything."""
    found = re.match(r"\d{1,4}(?:\.\d{1,4}){0,3}", str(told or ""), re.ASCII)
    return found[0] if found else ""


def _check_record(record: Record, named: Sequence[str]) -> None:
    """A channel says itself where its packages are, and may name files of others."""
    if not record.get("sha256"):
        raise UserError("A channel tells no SHA-256 of its packages.")
    url = str(record["url"])
    below = tuple(f"{channel.rstrip('/')}/" for channel in named)
    is_below = url.startswith(below) and ".." not in unquote(url)
    if not is_below and not url.startswith(("https://", "http://")):
        raise UserError(
            f"A channel has {record['name']} at {url[:200]}, where no package is"
            " fetched from.",
            "Leave out that channel, or ask who keeps it.",
        )


def _version(known: str) -> tuple[str, list[int]]:
    """From "glibc=2.36"."""
    name, _, version = known.partition("=")
    return name, [int(part) for part in re.findall(r"\d+", version)]


def versions_of(records: list[Record]) -> dict[str, str]:
    return {str(each["name"]): str(each["version"]) for each in records}


def python_packages(records: list[Record]) -> dict[str, str]:
    """Those that pip would find to be installed, and their versions."""
    return {
        name: version
        for each in records
        for name, version in versions_of([each]).items()
        if name != "pip"
        and any(str(need).split()[0] == "python" for need in each["depends"])
    }


def _ask(
    asked: dict[str, Any], seconds: float, variables: Mapping[str, str]
) -> dict[str, Any]:
    with TemporaryDirectory(prefix="aml-conda-") as folder:
        known = {"TMPDIR": folder, **Indexes.configured().for_uv()}
        _, output, remarks = run_program(
            [sys.executable, "-I", _SOLVER],
            folder=Path(folder),
            environment={**known, **variables},
            seconds=seconds,
            given=json.dumps(asked).encode(),
        )
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        words = " ".join(remarks.decode(errors="replace").split())[-_LONGEST:]
        answer = {"error": "", "text": words or "the solver ended without a word"}
    return answer


def _sentence(answer: dict[str, Any], unreachable: Sequence[str]) -> str:
    """What rattler says of it, for a person."""
    for sentence in unreachable:
        return sentence
    text = str(answer["text"]).strip()
    if found := _NO_CHANNEL.search(text):
        return f"There is no channel of conda at {found[1]}."
    if found := _REFUSED.search(text):
        return f"{found[2]} can't be read: the server says {found[1]}."
    if found := _AWAY.search(text):
        why = text.rpartition("Caused by: ")[2]
        return f"{found[1]} can't be reached: {why}."
    if found := _NONE_FOUND.search(text):
        return f"There is no “{found[1]}” in the channels of this environment."
    words = " ".join(_TREE.sub(" ", text).split())
    words = words.removeprefix("Cannot solve the request because of: ")
    return f"These packages can't be installed together: {words[:_LONGEST]}"
