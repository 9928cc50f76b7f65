"""What an environment is made of, in the words of Azure ML.

`to_json` and `from_json` are the content of an `azureml_environment.json` whose conda
dependencies stand inline, as azureml-core 1.61 writes it; a key that is not known here
is ignored, one that is missing has Azure's default.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from aml_portal.errors import UserError

DEFAULT_PYTHON = "3.11"
_DEFAULT_SHM = "2g"
# uv knows no Python that is older than 3.8.
_OLDEST_MINOR = 8


class Kind(StrEnum):
    """How a definition becomes something that runs a script."""

    USER_MANAGED = "user-managed"
    PACKAGES = "packages"
    IMAGE = "image"

    @property
    def label(self) -> str:
        return _KINDS[self]


_KINDS = {
    Kind.USER_MANAGED: "User-managed",
    Kind.PACKAGES: "Packages",
    Kind.IMAGE: "Docker image",
}


@dataclass(frozen=True, kw_only=True)
class CondaDependencies:
    """The content of a `conda_dependencies.yml`.

    `packages` are conda's own specs, such as `python=3.11` or `numpy>=2`; `pip` are the
    lines of a requirements file, index options among them.
    """

    name: str = "project_environment"
    channels: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        packages: list[str] = []
        pip: list[str] = []
        for each in _list(value, "dependencies"):
            if isinstance(each, Mapping):
                pip += [str(line) for line in _list(each, "pip")]
            else:
                packages.append(str(each))
        return cls(
            name=str(value.get("name") or cls.name),
            channels=tuple(str(each) for each in _list(value, "channels")),
            packages=tuple(packages),
            pip=tuple(pip),
        )

    def to_json(self) -> dict[str, Any]:
        dependencies: list[Any] = [*self.packages]
        if self.pip:
            dependencies.append({"pip": [*self.pip]})
        return {
            "name": self.name,
            "channels": [*self.channels],
            "dependencies": dependencies,
        }

    @property
    def python(self) -> str:
        """The version that is asked for, such as "3.11"; empty if none is."""
        for package in self.packages:
            name, _, version = package.replace(" ", "").partition("=")
            if name == "python":
                return version.lstrip("=").removesuffix(".*")
        return ""

    @property
    def beside_python(self) -> tuple[str, ...]:
        return tuple(each for each in self.packages if _name_of(each) != "python")

    @property
    def beyond_pip(self) -> tuple[str, ...]:
        """What only conda can install: all but Python and pip themselves."""
        own = ("python", "pip")
        return tuple(each for each in self.packages if _name_of(each) not in own)

    @property
    def needs_conda(self) -> bool:
        """Whether uv and pip alone can't make it."""
        found = re.match(r"3\.(\d+)", self.python, re.ASCII)
        is_too_old = found is not None and int(found[1]) < _OLDEST_MINOR
        return bool(self.beyond_pip or (self.channels and is_too_old))

    @property
    def pip_packages(self) -> tuple[str, ...]:
        """The lines of packages, without those of options."""
        return tuple(line for line in self.pip if not line.startswith("-"))

    @property
    def names_addresses(self) -> bool:
        """Whether it sends anybody to places that people have chosen."""
        return any(
            "://" in each for each in (*self.channels, *self.packages, *self.pip)
        )

    @property
    def names_python(self) -> bool:
        return any(_name_of(package) == "python" for package in self.packages)


@dataclass(frozen=True, kw_only=True)
class PythonSection:
    user_managed_dependencies: bool = False
    # Only of what is user-managed; "" is the Python of the target.
    interpreter_path: str = ""
    conda_dependencies: CondaDependencies = field(default_factory=CondaDependencies)


@dataclass(frozen=True, kw_only=True)
class DockerSection:
    """`base_dockerfile` is the text of one; it takes the place of `base_image`."""

    enabled: bool = False
    base_image: str = ""
    base_dockerfile: str = ""
    shm_size: str = _DEFAULT_SHM
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SparkSection:
    """`packages` are Maven coordinates, `group:artifact:version`."""

    repositories: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    precache_packages: bool = True

    def as_conf(self) -> dict[str, str]:
        """The properties that have Spark fetch the packages for a run."""
        lists = {
            "spark.jars.packages": self.packages,
            "spark.jars.repositories": self.repositories,
        }
        return {key: ",".join(values) for key, values in lists.items() if values}


@dataclass(frozen=True, kw_only=True)
class Definition:
    """All of an environment but its name and version."""

    python: PythonSection = field(default_factory=PythonSection)
    docker: DockerSection = field(default_factory=DockerSection)
    spark: SparkSection = field(default_factory=SparkSection)
    environment_variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def user_managed(
        cls, interpreter_path: str = "", variables: Mapping[str, str] | None = None
    ) -> Self:
        """An interpreter that is used as it is."""
        python = PythonSection(
            user_managed_dependencies=True, interpreter_path=interpreter_path
        )
        return cls(python=python, environment_variables=dict(variables or {}))

    @classmethod
    def of_packages(cls, *pip: str, python: str = DEFAULT_PYTHON) -> Self:
        """A Python of some version with packages of the index."""
        conda = CondaDependencies(packages=(f"python={python}",), pip=pip)
        return cls(python=PythonSection(conda_dependencies=conda))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Raises UserError for what is no definition."""
        python, docker, spark = (
            _mapping(value, name) for name in ("python", "docker", "spark")
        )
        conda = _mapping(python, "condaDependencies")
        path = str(python.get("interpreterPath") or "")
        variables = _mapping(value, "environmentVariables")
        return cls(
            python=PythonSection(
                user_managed_dependencies=bool(python.get("userManagedDependencies")),
                # Azure's default, which means: whichever there is.
                interpreter_path="" if path == "python" else path,
                conda_dependencies=CondaDependencies.from_json(conda),
            ),
            docker=DockerSection(
                enabled=bool(docker.get("enabled")),
                base_image=str(docker.get("baseImage") or ""),
                base_dockerfile=str(docker.get("baseDockerfile") or ""),
                shm_size=str(docker.get("shmSize") or _DEFAULT_SHM),
                arguments=tuple(str(each) for each in _list(docker, "arguments")),
            ),
            spark=SparkSection(
                repositories=tuple(str(e) for e in _list(spark, "repositories")),
                packages=tuple(_coordinates(e) for e in _list(spark, "packages")),
                precache_packages=bool(spark.get("precachePackages", True)),
            ),
            environment_variables={str(n): str(v) for n, v in variables.items()},
        )

    def to_json(self) -> dict[str, Any]:
        python, docker, spark = self.python, self.docker, self.spark
        return {
            "environmentVariables": dict(self.environment_variables),
            "python": {
                "userManagedDependencies": python.user_managed_dependencies,
                "interpreterPath": python.interpreter_path or "python",
                "condaDependencies": python.conda_dependencies.to_json(),
            },
            "docker": {
                "enabled": docker.enabled,
                "baseImage": docker.base_image or None,
                "baseDockerfile": docker.base_dockerfile or None,
                "shmSize": docker.shm_size,
                "arguments": [*docker.arguments],
            },
            "spark": {
                "repositories": [*spark.repositories],
                "packages": [_as_maven(each) for each in spark.packages],
                "precachePackages": spark.precache_packages,
            },
        }

    @property
    def is_user_managed(self) -> bool:
        return self.python.user_managed_dependencies

    @property
    def kind(self) -> Kind:
        if self.docker.enabled:
            return Kind.IMAGE
        return Kind.USER_MANAGED if self.is_user_managed else Kind.PACKAGES


def _name_of(package: str) -> str:
    for number, letter in enumerate(package):
        if not (letter.isalnum() or letter in "-_."):
            return package[:number].lower()
    return package.lower()


def _as_maven(coordinates: str) -> dict[str, str]:
    return dict(
        zip(("group", "artifact", "version"), coordinates.split(":"), strict=True)
    )


def _coordinates(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ":".join(
            str(value.get(n, "")) for n in ("group", "artifact", "version")
        )
    parts = str(value).split(":")
    if len(parts) != 3 or not all(parts):
        raise UserError(
            f"“{value}” names no Maven package.", "Write group:artifact:version."
        )
    return str(value)


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise UserError(f"“{name}” has to hold names and values.")
    return found


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list | tuple):
        raise UserError(f"“{name}” has to be a list.")
    return list(found)
