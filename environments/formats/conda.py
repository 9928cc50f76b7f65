"""`conda.yml`, which Azure calls `conda_dependencies.yml`."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from aml_portal.errors import UserError
from environments.definition import CondaDependencies, Definition, PythonSection
from environments.formats.pip_lines import check_line
from environments.formats.reading import Read, text_of
from environments.formats.requirements import lines_of
from environments.formats.safe_yaml import read_mapping

FILE = "conda_dependencies.yml"
_KNOWN = ("name", "channels", "dependencies", "variables", "prefix")
_MOST = 2_000
_NAME = r"[A-Za-z0-9][\w-]*(?:[./][\w-]+)*"
# A MatchSpec of conda: a name, versions and a build; perhaps a channel before it. In
# brackets it could name a file of the portal's machine as well.
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s,\]\"']+)"
_PART = rf" *(?:version|build|build_number) *= *{_VALUE} *"
# In one way only, or a long one that is none would be looked at for ever.
_BRACKETS = rf"\[(?:{_PART}(?:,{_PART})*)?\]"
_SPEC = re.compile(
    rf"(?:{_NAME}::)?[A-Za-z0-9_][\w.-]*(?:{_BRACKETS}|[ =<>!~,|*\w.+-]*)", re.ASCII
)
_CHANNEL = re.compile(rf"{_NAME}|https?://[^\s@]+", re.ASCII)


def read(data: bytes, file: str = FILE) -> Read:
    value = read_mapping(text_of(data, file), file)
    dependencies = dependencies_of(value, file)
    unknown = [str(key) for key in value if key not in _KNOWN]
    notes = (f"{file}: “{each[:50]}” is not known, and ignored." for each in unknown)
    return Read(
        definition=Definition(
            python=PythonSection(conda_dependencies=dependencies),
            environment_variables=_variables(value, file),
        ),
        # Azure's own word for "no name".
        name="" if dependencies.name == CondaDependencies.name else dependencies.name,
        notes=tuple(notes),
    )


def dependencies_of(value: Mapping[str, Any], file: str) -> CondaDependencies:
    """What the mapping says, each spec and each line of pip checked."""
    _check_entries(value.get("dependencies"), file)
    found = CondaDependencies.from_json(value)
    if len(found.packages) + len(found.pip) > _MOST:
        raise UserError(f"{file} has more than {_MOST:,} packages.")
    check_dependencies(found, f"{file}: ")
    # An item may stand for two words, as in "--extra-index-url ADDRESS", or for none.
    return replace(found, pip=tuple(lines_of("\n".join(found.pip), file)))


def check_dependencies(dependencies: CondaDependencies, where: str = "") -> None:
    """Raises UserError for what neither conda nor pip could understand."""
    for package in dependencies.packages:
        if not _SPEC.fullmatch(package):
            raise UserError(
                f"{where}“{package[:80]}” is no package of conda.",
                "Write a name and versions, such as cudatoolkit=11.8.",
            )
    for channel in dependencies.channels:
        if not _CHANNEL.fullmatch(channel):
            raise UserError(
                f"{where}“{channel[:80]}” is no channel of conda.",
                "Write a name, such as conda-forge, or an address without a password.",
            )
    for line in dependencies.pip:
        check_line(line, where)


def write(definition: Definition) -> str:
    content = definition.python.conda_dependencies.to_json()
    if definition.environment_variables:
        content["variables"] = dict(definition.environment_variables)
    text: str = yaml.safe_dump(
        content, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text


def _check_entries(entries: Any, file: str) -> None:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str):
            continue
        if not isinstance(entry, Mapping) or set(entry) != {"pip"}:
            raise UserError(
                f"{file}: a dependency is neither a package nor a list under “pip”."
            )
        if not all(isinstance(line, str) for line in entry["pip"] or ()):
            raise UserError(f"{file}: what stands under “pip” has to be lines.")


def _variables(value: Mapping[str, Any], file: str) -> dict[str, str]:
    found = value.get("variables")
    if found is None:
        return {}
    if not isinstance(found, Mapping) or any(
        isinstance(each, Mapping | list) for each in found.values()
    ):
        raise UserError(f"{file}: “variables” has to hold names and values.")
    return {str(name): str(each or "") for name, each in found.items()}
