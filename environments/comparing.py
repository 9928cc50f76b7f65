"""What differs between two definitions, as rows that a person reads."""

import re
from dataclasses import dataclass

from aml_portal.secret_names import looks_secret
from environments.definition import Definition
from environments.formats.pip_lines import name_of

# What ends the name of a package of conda.
_VARIABLES = "Variables"
_PLAIN = re.compile(r"[\s=<>!~\[]")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What was there before and is after; "" where it was not or is gone."""

    part: str
    name: str
    before: str
    after: str

    @property
    def is_secret(self) -> bool:
        """Whether the values are to be covered."""
        return self.part == _VARIABLES and looks_secret(self.name)


def compare(before: Definition, after: Definition) -> list[Change]:
    """All that differs, part by part, in the order in which it is defined."""
    old, new = _facts(before), _facts(after)
    return [
        Change(
            part=key[0], name=key[1], before=old.get(key, ""), after=new.get(key, "")
        )
        for key in dict.fromkeys([*new, *old])
        if old.get(key, "") != new.get(key, "")
    ]


def _facts(definition: Definition) -> dict[tuple[str, str], str]:
    """Everything that a definition says, by its part and its name."""
    python, docker, spark = definition.python, definition.docker, definition.spark
    conda = python.conda_dependencies
    facts = {
        ("Environment", "Kind"): definition.kind.label,
        ("Python", "Interpreter"): python.interpreter_path,
        ("Python", "Version"): conda.python,
        ("Python", "Channels"): ", ".join(conda.channels),
    }
    for line in conda.pip:
        key = ("Packages", name_of(line) or line.partition(" ")[0])
        # One package may have a line for each system.
        facts[key] = "\n".join(filter(None, [facts.get(key), line]))
    for package in conda.beside_python:
        facts["conda packages", _PLAIN.split(package)[0]] = package
    facts |= {
        ("Docker", "Image"): docker.base_image,
        ("Docker", "Dockerfile"): docker.base_dockerfile,
        ("Docker", "Shared memory"): docker.shm_size,
        ("Docker", "Arguments"): " ".join(docker.arguments),
    }
    variables = definition.environment_variables
    facts |= {(_VARIABLES, name): value for name, value in variables.items()}
    facts |= {("Spark", package): package for package in spark.packages}
    facts |= {("Spark", address): address for address in spark.repositories}
    facts["Spark", "Precached"] = "yes" if spark.precache_packages else "no"
    return facts
