"""An environment's definition as text and as files, in each format that can hold it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from aml_portal.errors import UserError
from environments.definition import Definition
from environments.formats import azure, conda, docker, pyproject, requirements
from environments.formats.archives import pack
from environments.formats.reading import Read
from environments.models import Environment


@dataclass(frozen=True, kw_only=True)
class Export:
    """A format to download; `write` is given the environment and its definition."""

    key: str
    label: str
    file: str
    content_type: str = "text/plain; charset=utf-8"
    write: Callable[[Environment, Definition], str | bytes]

    def file_of(self, environment: Environment) -> str:
        return self.file.format(name=environment.name, version=environment.version)


def _folder(environment: Environment, definition: Definition) -> bytes:
    return pack(
        azure.write(definition, name=environment.name, version=environment.version)
    )


def _json(environment: Environment, definition: Definition) -> str:
    return azure.write_text(
        definition, name=environment.name, version=environment.version
    )


def _conda(environment: Environment, definition: Definition) -> str:
    named = replace(definition.python.conda_dependencies, name=environment.name)
    python = replace(definition.python, conda_dependencies=named)
    return conda.write(replace(definition, python=python))


_WHOLE = (
    Export(
        key="azure",
        label="Azure ML folder, as a zip",
        file="{name}-{version}.zip",
        content_type="application/zip",
        write=_folder,
    ),
    Export(
        key="json",
        label="Azure ML JSON",
        file=azure.FILE,
        content_type="application/json",
        write=_json,
    ),
)
_PACKAGES = (
    Export(key="conda", label="conda YAML", file="conda.yml", write=_conda),
    Export(
        key="requirements",
        label="requirements.txt",
        file=requirements.FILE,
        write=lambda _, definition: requirements.write(definition),
    ),
    Export(
        key="pyproject",
        label="pyproject.toml",
        file=pyproject.FILE,
        write=lambda environment, definition: pyproject.write(
            definition, name=environment.name
        ),
    ),
)
_DOCKERFILE = Export(
    key="dockerfile",
    label="Dockerfile",
    file=docker.FILE,
    write=lambda _, definition: definition.docker.base_dockerfile,
)


def exports_of(definition: Definition) -> list[Export]:
    """The formats that hold what there is."""
    found = [*_WHOLE]
    if not definition.is_user_managed:
        found += _PACKAGES
    if definition.docker.base_dockerfile:
        found.append(_DOCKERFILE)
    return found


# What a definition can be edited as, by the name of the format.
TEXTS = {
    "json": "Azure ML JSON",
    "conda": "conda YAML",
    "requirements": "requirements.txt",
}


def as_text(definition: Definition, kind: str, *, name: str = "") -> str:
    match kind:
        case "conda":
            return conda.write(definition)
        case "requirements":
            return requirements.write(definition)
    return azure.write_text(definition, name=name, version=None)


def from_text(text: str, kind: str, base: Definition) -> Read:
    """The definition that a text holds; what its format has no word for is `base`'s.

    Raises UserError.
    """
    if kind == "json":
        return azure.read_text(text)
    if base.is_user_managed:
        raise UserError(
            "The environment takes an interpreter as it is.",
            "Edit it by the form or as JSON, to have packages instead.",
        )
    dependencies = base.python.conda_dependencies
    variables = base.environment_variables
    notes: tuple[str, ...] = ()
    if kind == "requirements":
        lines = requirements.lines_of(text.replace("\r\n", "\n"), "the text")
        dependencies = replace(dependencies, pip=tuple(lines))
    else:
        read = conda.read(text.encode(), "The text")
        dependencies, notes = read.definition.python.conda_dependencies, read.notes
        variables = read.definition.environment_variables
    python = replace(base.python, conda_dependencies=dependencies)
    definition = replace(base, python=python, environment_variables=variables)
    return Read(definition=definition, notes=notes)
