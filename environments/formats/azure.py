"""Azure's environment folder, as azureml-core 1.61 saves and loads it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aml_portal.errors import UserError
from environments.definition import Definition
from environments.formats import conda, docker
from environments.formats.reading import Read, text_of

FILE = "azureml_environment.json"
_KNOWN = {
    *("name", "version", "environmentVariables", "python", "docker", "spark", "r"),
    *("databricks", "inferencingStackVersion", "assetId"),
}
# What the portal has no equal of: the part, its key, and what is said.
_BEYOND = (
    ("docker", "buildContext", "the build context of Docker"),
    ("docker", "baseImageRegistry", "the registry's account"),
    ("python", "baseCondaEnvironment", "the base environment of conda"),
    ("r", "rVersion", "the part on R"),
)


def read(files: Mapping[str, bytes]) -> Read:
    """The folder's files by name; all but the first may be missing."""
    value = _parsed(text_of(files[FILE], FILE))
    definition, notes = Definition.from_json(value), _notes(value)
    python = definition.python
    if conda.FILE in files:
        found = conda.read(files[conda.FILE], conda.FILE)
        dependencies = found.definition.python.conda_dependencies
        notes += found.notes
    else:
        inline = python.conda_dependencies.to_json()
        dependencies = conda.dependencies_of(inline, FILE)
    python = replace(python, conda_dependencies=dependencies)
    base = definition.docker
    if docker.BASE_FILE in files:
        text = text_of(files[docker.BASE_FILE], docker.BASE_FILE)
        base = replace(base, base_dockerfile=docker.check_dockerfile(text))
    return Read(
        definition=replace(definition, python=python, docker=base),
        name=str(value.get("name") or ""),
        notes=notes,
    )


def read_text(text: str) -> Read:
    """The JSON alone, with the conda dependencies in it."""
    return read({FILE: text.encode()})


def write(definition: Definition, *, name: str, version: int | None) -> dict[str, str]:
    """The texts of the folder by name."""
    value = with_name(definition, name=name, version=version)
    del value["python"]["condaDependencies"]
    files = {}
    if text := value["docker"].pop("baseDockerfile"):
        files[docker.BASE_FILE] = text
    bare = replace(definition, environment_variables={})
    return {FILE: _dumped(value), conda.FILE: conda.write(bare), **files}


def write_text(definition: Definition, *, name: str, version: int | None) -> str:
    return _dumped(with_name(definition, name=name, version=version))


def with_name(
    definition: Definition, *, name: str, version: int | None
) -> dict[str, Any]:
    number = None if version is None else str(version)
    return {"name": name, "version": number, **definition.to_json()}


def _dumped(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
        # Half of a character can be written down, but is nowhere taken.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(
            f"{FILE} is not JSON (line {error.lineno}): {error.msg}."
        ) from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{FILE} is not JSON that can be read.") from error
    if not isinstance(value, Mapping):
        raise UserError(f"{FILE} has to hold names and values, and does not.")
    return value


def _notes(value: Mapping[str, Any]) -> tuple[str, ...]:
    notes = [
        f"{FILE}: “{key[:50]}” is not known, and ignored."
        for key in value
        if key not in _KNOWN
    ]
    for part, key, words in _BEYOND:
        section = value.get(part)
        if isinstance(section, Mapping) and _says_something(section.get(key)):
            notes.append(f"{FILE}: {words} is not taken over.")
    databricks = value.get("databricks")
    if isinstance(databricks, Mapping) and any(databricks.values()):
        notes.append(f"{FILE}: the libraries of Databricks are not taken over.")
    return tuple(notes)


def _says_something(value: Any) -> bool:
    return any(value.values()) if isinstance(value, Mapping) else bool(value)
