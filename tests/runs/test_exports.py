"""A submission as Python code and as a .runconfig says what the form says."""

import ast
from typing import Any

import yaml
from hypothesis import example, given, settings, strategies

from computes.models import ComputeTarget
from environments.definition import Definition
from environments.models import Environment
from runs.configuration import ScriptRunConfiguration
from runs.exports import as_python, as_runconfig, environment_section

_ENVIRONMENT = Environment(
    name="python",
    version=2,
    content=Definition.user_managed("/usr/bin/python3", {"A": "1"}).to_json(),
)
_words = strategies.text(
    strategies.characters(exclude_categories=["Cs"]), max_size=30
).filter(lambda text: "\0" not in text)
_names = strategies.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
configurations = strategies.builds(
    ScriptRunConfiguration,
    script=_words,
    arguments=strategies.lists(_words, max_size=8).map(tuple),
    environment_variables=strategies.dictionaries(_names, _words, max_size=3),
    max_run_duration_seconds=strategies.one_of(
        strategies.none(), strategies.integers(1, 10**9)
    ),
)


class _Sdk:
    """Stands for the names of azureml.core, and notes what the code does with them."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.config: dict[str, Any] = {}
        self.seen: dict[str, Any] = {}
        self.display_name = ""

    def names(self) -> dict[str, Any]:
        return {
            "Workspace": self,
            "Experiment": self._experiment,
            "Environment": self,
            "ScriptRunConfig": self._script_run_config,
        }

    @staticmethod
    def from_config() -> str:
        return "the workspace"

    def get(self, workspace: str, name: str, version: str) -> "_Sdk":
        self.seen["environment"] = f"{name}:{version}"
        return self

    @property
    def environment_variables(self) -> dict[str, str]:
        return self.variables

    def _experiment(self, workspace: str, name: str) -> "_Sdk":
        assert workspace == "the workspace"
        self.seen["experiment"] = name
        return self

    def _script_run_config(self, **given: Any) -> str:
        self.config = given
        return "the config"

    def submit(self, config: str, tags: dict[str, str] | None = None) -> "_Sdk":
        assert config == "the config"
        self.seen["tags"] = tags or {}
        return self

    def wait_for_completion(self, *, show_output: bool) -> None:
        self.seen["waited"] = show_output


def run_code(code: str) -> _Sdk:
    """Do what the code says, with the names that it imports."""
    sdk = _Sdk()
    first, *rest = ast.parse(code).body
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "azureml.core"
    assert {alias.name for alias in first.names} == set(sdk.names())
    program = ast.Module(body=rest, type_ignores=[])
    exec(compile(program, "submission", "exec"), sdk.names())
    return sdk


@given(
    configurations, _words, strategies.dictionaries(_words, _words, max_size=2), _words
)
def test_the_code_submits_the_same(
    typed: ScriptRunConfiguration, name: str, tags: dict[str, str], display_name: str
) -> None:
    code = as_python(
        typed,
        experiment=name,
        target="box",
        environment="python",
        version=2,
        tags=tags,
        display_name=display_name,
    )
    sdk = run_code(code)
    assert sdk.seen == {
        "experiment": name,
        "environment": "python:2",
        "tags": tags,
        "waited": True,
    }
    assert sdk.display_name == display_name
    assert sdk.config["script"] == typed.script
    assert tuple(sdk.config.get("arguments", ())) == typed.arguments
    assert sdk.config["compute_target"] == "box"
    assert sdk.variables == dict(typed.environment_variables)
    limit = sdk.config.get("max_run_duration_seconds", 30 * 24 * 3600)
    assert limit == typed.max_run_duration_seconds


@example(ScriptRunConfiguration(script="a\x85b", arguments=("\u2028", "x\n\n y\r\n")))
@settings(max_examples=40)
@given(configurations)
def test_the_runconfig_says_the_same(typed: ScriptRunConfiguration) -> None:
    section = environment_section(_ENVIRONMENT, ComputeTarget(kind="local"))
    text = as_runconfig(typed, target="box", environment=section)
    read = yaml.safe_load(text)
    assert read["script"] == typed.script
    assert read["arguments"] == [*typed.arguments]
    assert read["environmentVariables"] == dict(typed.environment_variables)
    assert read["maxRunDurationSeconds"] == typed.max_run_duration_seconds
    assert read["target"] == "box"
    assert read["environment"]["version"] == "2"
    assert read["environment"]["environmentVariables"] == {"A": "1"}
    assert read["environment"]["python"] == {
        "userManagedDependencies": True,
        "interpreterPath": "/usr/bin/python3",
    }


def test_the_section_on_an_environment_has_its_packages() -> None:
    definition = Definition.from_json(
        {
            "environmentVariables": {"API_TOKEN": "s3cret"},
            "python": {"condaDependencies": {"dependencies": ["python=3.10"]}},
            "docker": {"enabled": True, "baseImage": "ubuntu"},
        }
    )
    environment = Environment(name="mine", content=definition.to_json())
    section = environment_section(environment, None)
    assert section["python"]["condaDependencies"]["dependencies"] == ["python=3.10"]
    assert section["docker"]["baseImage"] == "ubuntu"
    assert "spark" not in section
    assert "s3cret" not in str(section)
    assert environment_section(None, None)["python"]["interpreterPath"] == "python"


def test_a_docker_run_names_its_image_and_gpus() -> None:
    configuration = ScriptRunConfiguration(
        script="train.py", gpus=2, launch={"image": "python:3.12"}
    )
    read = yaml.safe_load(runconfig_of(configuration))
    assert read["docker"] == {"useDocker": True, "arguments": ["--gpus", "2"]}
    assert read["environment"]["docker"] == {"baseImage": "python:3.12"}
    code = code_of(configuration)
    assert "from azureml.core.runconfig import DockerConfiguration\n" in code
    assert "environment.docker.base_image = 'python:3.12'\n" in code
    assert (
        "docker_runtime_config=DockerConfiguration(use_docker=True,"
        " arguments=['--gpus', '2']),\n"
    ) in code


def test_a_run_on_several_nodes_says_how_many() -> None:
    configuration = ScriptRunConfiguration(
        script="train.py", launch={"nodes": 3, "tasks_per_node": 2}
    )
    read = yaml.safe_load(runconfig_of(configuration))
    assert (read["nodeCount"], read["communicator"]) == (3, "IntelMpi")
    assert read["mpi"] == {"processCountPerNode": 2, "nodeCount": 3}
    assert (
        "distributed_job_config=MpiConfiguration(process_count_per_node=2,"
        " node_count=3),\n"
    ) in code_of(configuration)


def test_a_priority_is_said_where_it_is_not_the_usual_one() -> None:
    configuration = ScriptRunConfiguration(script="train.py")
    assert yaml.safe_load(runconfig_of(configuration, priority=1))["priority"] == 1
    assert "config.run_config.priority = 1\n" in code_of(configuration, priority=1)
    assert "priority" not in runconfig_of(configuration) + code_of(configuration)


def runconfig_of(configuration: ScriptRunConfiguration, priority: int = 0) -> str:
    return as_runconfig(
        configuration,
        target="box",
        environment=environment_section(None, None),
        priority=priority,
    )


def code_of(configuration: ScriptRunConfiguration, priority: int = 0) -> str:
    return as_python(
        configuration,
        experiment="x",
        target="box",
        environment="python",
        version=2,
        tags={},
        priority=priority,
    )
