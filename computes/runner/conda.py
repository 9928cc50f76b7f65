"""Installs packages of conda, as the portal has chosen them, into a new folder.

Shipped to compute targets beside runner.py, but run by a Python that has rattler, which
environment.py sees to: 3.10 or newer. Its standard input is JSON: the `records` of the
packages, the `folder`, the `cache`, and `auth`, which signs in to their channels. The
build of an image has no standard input: there a file is named instead, and `auth` is
in the environment, so that no file has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List
from urllib.parse import unquote, urlsplit

import rattler

Json = Dict[str, Any]

AUTH = "AML_CONDA_AUTH"


class Failed(Exception):
    """A package can't be installed; the message is for a person."""


class Told:
    """Says of each package what happens to it: rattler calls these methods."""

    def __init__(self, records: List[Json]) -> None:
        self._versions = {each["name"]: each["version"] for each in records}

    def __getattr__(self, name: str) -> Any:
        # There are more than are of interest here.
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_: 0

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        say("Fetching %s %s" % (package_name, self._versions.get(package_name, "")))
        return operation

    def on_link_start(self, operation: int, package_name: str) -> int:
        say("Installing %s" % package_name)
        return operation


def main() -> int:
    with open(sys.argv[1], "rb") if sys.argv[1:] else sys.stdin as file:
        asked = json.load(file)
    try:
        for record in asked["records"]:
            check_file(record)
        with tempfile.TemporaryDirectory() as place:
            records = [_record(each, place) for each in asked["records"]]
            asyncio.run(_install(asked, records, _client(_auth(asked), place)))
    except Exception as error:
        # Those of rattler have no class in common.
        say("error: " + sentence(str(error)))
        return 1
    return 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def check_file(record: Json) -> None:
    """Of files that are here already, rattler itself would believe anything."""
    address = urlsplit(record["url"])
    if address.scheme != "file":
        return
    whole = hashlib.sha256()
    with open(unquote(address.path), "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            whole.update(piece)
    if whole.hexdigest() != record["sha256"]:
        raise Failed(
            "failed to fetch %s: hash mismatch: expected %s, got %s"
            % (record["fn"], record["sha256"], whole.hexdigest())
        )


def sentence(text: str) -> str:
    """What rattler was doing, and the last of the causes that it names."""
    first, *causes = text.split("\nCaused by: ")
    return " ".join(": ".join([first, *causes[-1:]]).split())


def _record(record: Json, place: str) -> rattler.RepoDataRecord:
    # rattler reads one from a file alone.
    path = Path(place, "record.json")
    path.write_text(json.dumps(record), encoding="utf-8")
    return rattler.RepoDataRecord(
        rattler.PackageRecord.from_index_json(path),
        record["fn"],
        record["url"],
        record.get("channel") or "",
    )


def _auth(asked: Json) -> Json:
    auth: Json = asked.get("auth") or json.loads(os.environ.get(AUTH, "{}"))
    return auth


def _client(auth: Json, place: str) -> rattler.Client:
    path = Path(place, "auth.json")
    path.write_text(json.dumps(auth or {}), encoding="utf-8")
    config = "authentication-override-file = %s" % json.dumps(str(path))
    return rattler.Client.from_config(rattler.Config.from_toml(config))


async def _install(
    asked: Json, records: List[rattler.RepoDataRecord], client: rattler.Client
) -> None:
    await rattler.install(
        records,
        asked["folder"],
        cache_dir=asked["cache"],
        client=client,
        reporter=Told(asked["records"]),
    )


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Python's own way out can end in a crash while a thread of rattler still ends.
    os._exit(code)
