"""`pyproject.toml`: the dependencies of a project, and the Python that it asks for."""

import tomllib
from collections.abc import Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from aml_portal.errors import UserError
from environments.definition import DEFAULT_PYTHON, Definition
from environments.formats.pip_lines import check_line, name_of
from environments.formats.reading import Read, text_of

FILE = "pyproject.toml"
LOCK_FILE = "uv.lock"
PYTHONS = ("3.14", "3.13", "3.12", "3.11", "3.10", "3.9")


def read(data: bytes) -> Read:
    """The definition of what the project needs to run; extras and groups are not of it.

    Where requires-python leaves a choice, the portal's default is taken, or the newest.
    """
    value = _parsed(text_of(data, FILE))
    project = _table(value, "project")
    uv = _table(_table(value, "tool"), "uv")
    lines = _dependencies(project, _table(uv, "sources")) + _indexes(uv)
    return Read(
        definition=Definition.of_packages(*lines, python=python_of(project)),
        name=str(project.get("name") or ""),
        notes=_notes(project, value),
    )


def python_of(project: Mapping[str, Any]) -> str:
    asked = project.get("requires-python") or ""
    try:
        versions = SpecifierSet(str(asked))
    except InvalidSpecifier as error:
        raise UserError(f"{FILE}: requires-python is not a set of versions.") from error
    for python in (DEFAULT_PYTHON, *PYTHONS):
        # Of a minor version any release may be meant, as in ">=3.11.4".
        if any(f"{python}.{patch}" in versions for patch in range(40)):
            return python
    raise UserError(
        f"{FILE}: the portal knows no Python {asked}.",
        f"It offers {PYTHONS[-1]} to {PYTHONS[0]}.",
    )


def write(definition: Definition, *, name: str) -> str:
    """A project that uv installs as this environment; comments name the rest."""
    conda = definition.python.conda_dependencies
    lines = ["[project]", f"name = {_quoted(_project_name(name))}", 'version = "1"']
    if conda.python:
        lines.append(f"requires-python = {_quoted(_requires(conda.python))}")
    packages = [line.partition(" --hash=")[0] for line in conda.pip if name_of(line)]
    lines += ["dependencies = [", *(f"    {_quoted(each)}," for each in packages), "]"]
    if conda.beyond_pip:
        lines.append(f"# Left out, as only conda has it: {', '.join(conda.beyond_pip)}")
    for line in conda.pip:
        option, _, address = line.partition(" ")
        if option in ("--index-url", "--extra-index-url"):
            lines += ["", "[[tool.uv.index]]", f"url = {_quoted(address)}"]
            lines += ["default = true"] if option == "--index-url" else []
    return "\n".join([*lines, ""])


def _requires(python: str) -> str:
    return f"=={python}.*" if python.count(".") == 1 else f"=={python}"


def _project_name(name: str) -> str:
    return canonicalize_name(name).strip("-") or "environment"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (RecursionError, ValueError) as error:
        raise UserError(f"{FILE} is not TOML: {str(error)[:200]}.") from error


def _dependencies(project: Mapping[str, Any], sources: Mapping[str, Any]) -> list[str]:
    dynamic = project.get("dynamic")
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        raise UserError(
            f"{FILE} leaves its dependencies to a build.",
            "Write them out, or give a requirements file.",
        )
    lines = project.get("dependencies", [])
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise UserError(f"{FILE}: the dependencies have to be a list of strings.")
    by_name: dict[str, Any] = {
        canonicalize_name(name): source for name, source in sources.items()
    }
    return [_from_source(check_line(line, f"{FILE}: "), by_name) for line in lines]


def _from_source(line: str, sources: Mapping[str, Any]) -> str:
    """The line with the address that uv's own table gives its package."""
    source = sources.get(canonicalize_name(name_of(line)))
    if source is None or (isinstance(source, Mapping) and "index" in source):
        return line
    address = _address(source) if isinstance(source, Mapping) else ""
    if not address:
        raise UserError(
            f"{FILE}: “{name_of(line)}” comes from a folder or a workspace, which no"
            " environment has.",
            "Name it by an address, as NAME @ https://….",
        )
    requirement = _requirement(line)
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    named = f"{requirement.name}{extras} @ {address}{marker}"
    return check_line(named, f"{FILE}: ")


def _requirement(line: str) -> Requirement:
    try:
        return Requirement(line)
    except InvalidRequirement as error:
        raise UserError(f"{FILE}: “{line[:80]}” names no package.") from error


def _address(source: Mapping[str, Any]) -> str:
    if git := source.get("git"):
        at = next(
            (source[key] for key in ("rev", "tag", "branch") if key in source), ""
        )
        return f"git+{git}" + (f"@{at}" if at else "")
    return str(source.get("url") or "")


def _indexes(uv: Mapping[str, Any]) -> list[str]:
    indexes = uv.get("index") or []
    if not isinstance(indexes, list) or not all(
        isinstance(each, Mapping) for each in indexes
    ):
        raise UserError(f"{FILE}: tool.uv.index has to be a list of tables.")
    return [
        check_line(
            f"{'--index-url' if index.get('default') else '--extra-index-url'}"
            f" {index.get('url', '')}",
            f"{FILE}: ",
        )
        for index in indexes
    ]


def _notes(project: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    if not project.get("requires-python"):
        notes.append(f"{FILE} asks for no Python: {DEFAULT_PYTHON} is taken.")
    if project.get("optional-dependencies") or value.get("dependency-groups"):
        notes.append(f"{FILE}: extras and dependency groups are not taken over.")
    return tuple(notes)


def _table(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name, {})
    if not isinstance(found, Mapping):
        raise UserError(f"{FILE}: “{name}” has to be a table.")
    return found
