"""What has to be told to build an image that has an environment in it."""

import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from computes.launchers.recipes import CONTEXT, ImageRecipe, PackageSources
from environments import channels
from environments.indexes import Indexes
from environments.models import Environment, Lock
from environments.uv import program

# The version of rattler that the portal itself solves with, and its hashes.
RATTLER = Path(__file__).with_name("rattler.txt")

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_MARKS = re.compile(r"[-_.+!]+")


def recipe_of(environment: Environment, lock: Lock | None = None) -> ImageRecipe:
    """The image of an environment; without a lock it is the base image as it is."""
    docker = environment.definition.docker
    base = ImageRecipe(base_image=docker.base_image, dockerfile=docker.base_dockerfile)
    if lock is None:
        return base
    conda = json.dumps([_in_context(each) for each in _records(lock)])
    return replace(
        base,
        python=lock.python,
        lock=lock.text,
        conda=conda if lock.conda else "",
        lock_key=lock.key,
    )


def package_sources(lock: Lock, machine: str) -> PackageSources:
    """Where the build of an image for that machine finds the packages of a lock."""
    indexes = Indexes.configured()
    files: dict[str, Path] = {}
    if machine == platform.machine():
        files["uv"] = program()
    if lock.conda:
        files.update(_of_conda(lock))
    links = []
    for number, link in enumerate(indexes.find_links):
        folder, name = _local(link), f"links/{number}"
        wanted = f"{lock.text}\n{RATTLER.read_text() if lock.conda else ''}"
        found = [] if folder is None else list(_named_in(wanted, folder))
        files.update({f"{name}/{path.name}": path for path in found})
        if folder is None:
            links.append(link)
        elif found:
            links.append(f"{CONTEXT}/{name}")
    indexes = replace(indexes, find_links=tuple(links))
    if indexes.ca_bundle:
        files["ca.pem"] = Path(indexes.ca_bundle)
        indexes = replace(indexes, ca_bundle=f"{CONTEXT}/ca.pem")
    variables = _variables(indexes, lock)
    passwords = passwords_in(variables)
    return PackageSources(variables=variables, files=files, passwords=passwords)


def proxies() -> PackageSources:
    """For the build of somebody's Dockerfile, which gets nothing else of the portal."""
    configured = Indexes.configured()
    known = Indexes(proxy=configured.proxy, no_proxy=configured.no_proxy).for_uv()
    # Some programs look for these names alone.
    variables = {**known, **{name.lower(): value for name, value in known.items()}}
    return PackageSources(variables=variables, passwords=passwords_in(variables))


def _variables(indexes: Indexes, lock: Lock) -> dict[str, str]:
    """Whatever signs in somewhere is here, and in no file that is sent."""
    indexes = indexes.signed_in()
    variables = {**indexes.for_uv(), **indexes.for_pip()}
    accounts = channels.credentials()
    if lock.conda and accounts:
        variables["AML_CONDA_AUTH"] = json.dumps(accounts)
    return variables


def passwords_in(variables: Mapping[str, str]) -> frozenset[str]:
    """As they are, and as addresses have them."""
    return frozenset(_passwords(variables))


def _passwords(variables: Mapping[str, str]) -> Iterator[str]:
    for value in variables.values():
        for word in re.split(r"[\s,]+", value):
            parts = urlsplit(word)
            # A token may stand in the place of the name.
            if password := parts.password or parts.username:
                yield from (password, unquote(password))
    for account in channels.credentials().values():
        yield from (each["password"] for each in account.values() if each["password"])


def _of_conda(lock: Lock) -> Iterator[tuple[str, Path]]:
    """What installs packages of conda is made of, and which of them are files here."""
    yield "rattler.txt", RATTLER
    for record in _records(lock):
        if path := _file_of(record):
            yield f"conda/{record['sha256']}/{path.name}", path


def _in_context(record: dict[str, Any]) -> dict[str, Any]:
    """A package of conda as the build finds it."""
    path = _file_of(record)
    if path is None:
        return record
    return {**record, "url": f"file://{CONTEXT}/conda/{record['sha256']}/{path.name}"}


def _records(lock: Lock) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(lock.conda or "[]")
    return found


def _file_of(record: Mapping[str, Any]) -> Path | None:
    parts = urlsplit(record["url"])
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _local(link: str) -> Path | None:
    """The folder of this machine that a link leads to."""
    parts = urlsplit(link)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(link).absolute()


def _named_in(lock: str, folder: Path) -> Iterator[Path]:
    """The packages of a folder that a lock names: no others have to travel."""
    wanted = tuple(
        f"{_plain(name)}-{_plain(version)}-" for name, version in _PINNED.findall(lock)
    )
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if wanted and path.is_file() and _plain(path.name).startswith(wanted):
            yield path


def _plain(name: str) -> str:
    """As names of projects are compared, whichever marks they are written with."""
    return _MARKS.sub("-", name).lower()
