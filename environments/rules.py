"""What a definition must keep to before it is saved, however it came."""

import re
from collections.abc import Mapping

from aml_portal.errors import UserError
from aml_portal.secret_names import secrets_among
from environments.definition import Definition, DockerSection, SparkSection
from environments.formats.conda import check_dependencies
from environments.formats.docker import check_dockerfile, check_image

MOST_BYTES = 200_000
NO_IMAGE = "Docker is on, but neither an image nor a Dockerfile is named."
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHM = re.compile(r"[1-9]\d{0,9}[bkmgBKMG]?", re.ASCII)
_COORDINATES = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+", re.ASCII)
_REPOSITORY = re.compile(r"https?://[^\s@/]+(/\S*)?")


def check_definition(definition: Definition) -> None:
    """Raises UserError with the first thing that is wrong."""
    check_spark(definition.spark)
    if len(str(definition.to_json())) > MOST_BYTES:
        raise UserError("The definition is larger than any environment needs.")
    _check_python(definition)
    check_docker(definition.docker)
    if definition.docker.enabled and not has_image(definition.docker):
        raise UserError(NO_IMAGE, "Name one of them, or switch Docker off.")
    check_variables(definition.environment_variables)


def check_variables(variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        if not VARIABLE.fullmatch(name):
            raise UserError(
                f"“{name[:80]}” is not a name for an environment variable.",
                "Use letters, digits and underscores, and begin with no digit.",
            )
        if "\0" in value:
            raise UserError(f"The value of {name} has a NUL character.")


def secret_remark(definition: Definition) -> str:
    """A sentence if variables look like secrets, which everybody could read; or ""."""
    found = secrets_among(definition.environment_variables)
    if not found:
        return ""
    are = "looks like a secret" if len(found) == 1 else "look like secrets"
    return (
        f"{', '.join(found)} {are}, and everybody who can sign in can read an"
        " environment: give it to the run instead, as a secret."
    )


def _check_python(definition: Definition) -> None:
    python = definition.python
    path = python.interpreter_path
    if "\0" in path or len(path) > 4096:
        raise UserError("The interpreter's path can't be one.")
    check_dependencies(python.conda_dependencies)
    check_python(python.conda_dependencies.python)


def check_python(asked: str) -> None:
    """Of a version; "" is any."""
    if asked and not re.fullmatch(r"3\.\d{1,2}(\.\d{1,2})?", asked, re.ASCII):
        raise UserError(
            f"“{asked[:80]}” is no version of Python that can be installed.",
            "Write one such as 3.12 or 3.11.9.",
        )


def has_image(docker: DockerSection) -> bool:
    return bool(docker.base_image or docker.base_dockerfile)


def check_docker(docker: DockerSection) -> None:
    if docker.base_image and not docker.base_dockerfile:
        check_image(docker.base_image)
    if docker.base_dockerfile:
        check_dockerfile(docker.base_dockerfile)
    if not _SHM.fullmatch(docker.shm_size):
        raise UserError(
            f"“{docker.shm_size[:80]}” is no size of shared memory.",
            "Write one such as 2g or 512m.",
        )
    if any("\0" in each for each in docker.arguments):
        raise UserError("An argument for Docker has a NUL character.")


def check_spark(spark: SparkSection) -> None:
    for package in spark.packages:
        if not _COORDINATES.fullmatch(package):
            raise UserError(
                f"“{package[:80]}” names no Maven package.",
                "Write group:artifact:version.",
            )
    for repository in spark.repositories:
        if not _REPOSITORY.fullmatch(repository):
            raise UserError(
                f"“{repository[:80]}” is no address of a Maven repository.",
                "Write one with https://, without a password.",
            )
