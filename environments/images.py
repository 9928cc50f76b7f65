"""What has to be told to build an image that has an environment in it."""

import platform
import re
from collections.abc import Iterator
from dataclasses import replace
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings

from aml_portal.errors import UserError
from computes.launchers.recipes import CONTEXT, ImageRecipe, PackageSources
from environments.definition import Definition
from environments.indexes import Indexes
from environments.models import Environment, Lock
from environments.uv import program

# Those of the portal's machine mean nothing in a container.
_OWN = ("HOME", "NETRC")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_MARKS = re.compile(r"[-_.+!]+")


def check_definition(definition: Definition) -> None:
    """Raises UserError for what no image can be given."""
    conda = definition.python.conda_dependencies
    if conda.beyond_pip and not definition.is_user_managed:
        raise UserError(
            f"Images can't be given packages of conda: {', '.join(conda.beyond_pip)}.",
            "Take them from pip, or a base image that has them.",
        )


def recipe_of(environment: Environment, lock: Lock | None = None) -> ImageRecipe:
    """The image of an environment; without a lock it is the base image as it is."""
    docker = environment.definition.docker
    base = ImageRecipe(base_image=docker.base_image, dockerfile=docker.base_dockerfile)
    if lock is None:
        return base
    return replace(base, python=lock.python, lock=lock.text, lock_key=lock.key)


def package_sources(lock: str, machine: str) -> PackageSources:
    """The portal's indexes, as the build of an image for that machine finds them."""
    indexes = Indexes.configured()
    hidden = indexes.passwords()
    files: dict[str, Path] = {}
    if machine == platform.machine():
        files["uv"] = program()
    links = []
    for number, link in enumerate(indexes.find_links):
        folder, name = _local(link), f"links/{number}"
        found = [] if folder is None else list(_named_in(lock, folder))
        files.update({f"{name}/{path.name}": path for path in found})
        if folder is None:
            links.append(link)
        elif found:
            links.append(f"{CONTEXT}/{name}")
    indexes = replace(indexes, find_links=tuple(links))
    if indexes.ca_bundle:
        files["ca.pem"] = Path(indexes.ca_bundle)
        indexes = replace(indexes, ca_bundle=f"{CONTEXT}/ca.pem")
    variables = {**indexes.for_uv(), **indexes.for_pip()}
    variables = {name: each for name, each in variables.items() if name not in _OWN}
    logins = Path(settings.PYTHON_NETRC or Path("~/.netrc").expanduser())
    if logins.is_file():
        files["netrc"] = logins
        variables["NETRC"] = f"{CONTEXT}/netrc"
        hidden += _passwords_in(logins)
    return PackageSources(variables=variables, files=files, hidden=hidden)


def _passwords_in(file: Path) -> list[str]:
    """None of what is no netrc: then nobody signs in with it either."""
    try:
        logins = netrc(file).hosts.values()
    except (NetrcParseError, OSError, UnicodeDecodeError):
        return []
    return [password for _, _, password in logins if password]


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
