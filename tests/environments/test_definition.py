"""Definitions in Azure ML's words: what is read, what is written, what is the same."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies

from aml_portal.errors import UserError
from environments.definition import (
    CondaDependencies,
    Definition,
    DockerSection,
    PythonSection,
    SparkSection,
)

_words = strategies.text(min_size=1, max_size=20)
_lists = strategies.lists(_words, max_size=3).map(tuple)
_coordinates = strategies.lists(
    strategies.text("abc.-1", min_size=1), min_size=3, max_size=3
).map(":".join)
_definitions = strategies.builds(
    Definition,
    python=strategies.builds(
        PythonSection,
        user_managed_dependencies=strategies.booleans(),
        interpreter_path=_words.filter(lambda path: path != "python"),
        conda_dependencies=strategies.builds(
            CondaDependencies, name=_words, channels=_lists, packages=_lists, pip=_lists
        ),
    ),
    docker=strategies.builds(
        DockerSection,
        enabled=strategies.booleans(),
        base_image=_words,
        base_dockerfile=_words,
        shm_size=_words,
        arguments=_lists,
    ),
    spark=strategies.builds(
        SparkSection,
        repositories=_lists,
        packages=strategies.lists(_coordinates, max_size=2).map(tuple),
        precache_packages=strategies.booleans(),
    ),
    environment_variables=strategies.dictionaries(_words, _words, max_size=3),
)


@given(_definitions)
def test_what_is_written_is_read_again(definition: Definition) -> None:
    written = json.loads(json.dumps(definition.to_json()))
    assert Definition.from_json(written) == definition


def test_what_is_missing_has_the_default_of_azure() -> None:
    definition = Definition.from_json({"name": "a", "databricks": {}, "new": 1})
    assert not definition.is_user_managed
    assert definition.docker.shm_size == "2g"
    assert definition.spark.precache_packages


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("python=3.11", "3.11"),
        ("python==3.10.18", "3.10.18"),
        ("python = 3.9.*", "3.9"),
        ("python", ""),
        ("python-dateutil=2", ""),
    ],
)
def test_the_python_that_is_asked_for_is_found(package: str, version: str) -> None:
    found = CondaDependencies(packages=(package, "pip=24", "cudatoolkit>=11", "Git"))
    assert found.python == version
    others = {"cudatoolkit>=11", "Git"}
    assert set(found.beyond_pip) == others | (
        {package} if package.startswith("python-") else set()
    )


@pytest.mark.parametrize(
    "value",
    [
        {"python": []},
        {"python": {"condaDependencies": "numpy"}},
        {"python": {"condaDependencies": {"dependencies": "numpy"}}},
        {"docker": {"arguments": "-it"}},
        {"spark": {"packages": ["a:b"]}},
        {"spark": {"packages": [{"group": "a"}]}},
        {"environmentVariables": ["A=1"]},
    ],
)
def test_what_is_no_definition_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Definition.from_json(value)
