"""A submission as others write it: a `.runconfig` file and Azure ML SDK v1 code.

The keys and their defaults are those of azureml-core 1.61; a key is left out where
that package would write its own default.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import yaml

from computes.models import ComputeTarget
from environments.definition import Definition, DockerSection, SparkSection
from environments.models import Environment
from runs.configuration import DEFAULT_MAX_DURATION, ScriptRunConfiguration
from runs.masking import HIDDEN, mask_variables

PYSPARK = "PySpark"


def as_runconfig(
    configuration: ScriptRunConfiguration,
    *,
    target: str,
    environment: Mapping[str, Any],
    priority: int = 0,
) -> str:
    """The text of a `.runconfig` file, as `RunConfiguration.load` reads it.

    `environment` is an `environment_section`.
    """
    nodes, tasks, image = _shape(configuration)
    docker = {**environment.get("docker", {}), "baseImage": image} if image else {}
    content: dict[str, Any] = {
        "script": configuration.script,
        "arguments": list(configuration.arguments),
        "target": target,
        "framework": configuration.framework,
        "communicator": "IntelMpi" if nodes * tasks > 1 else "None",
        "maxRunDurationSeconds": configuration.max_run_duration_seconds,
        "nodeCount": nodes,
        **({"priority": int(priority)} if priority else {}),
        "environment": {**environment, **({"docker": docker} if docker else {})},
        "environmentVariables": {
            **configuration.environment_variables,
            # That format knows no references.
            **dict.fromkeys(configuration.secrets, HIDDEN),
        },
        "history": {
            "outputCollection": True,
            "snapshotProject": True,
            "directoriesToWatch": ["logs"],
        },
    }
    if configuration.framework == PYSPARK:
        content["spark"] = {"configuration": _spark(configuration)}
    if image:
        arguments = _docker_arguments(configuration)
        content["docker"] = {"useDocker": True, "arguments": arguments}
    if nodes * tasks > 1:
        content["mpi"] = {"processCountPerNode": tasks, "nodeCount": nodes}
    text: str = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text


def environment_section(
    environment: Environment | None, target: ComputeTarget | None
) -> dict[str, Any]:
    """What a run configuration says of an environment that runs on a target.

    Variables that look secret are hidden.
    """
    definition = environment.definition if environment else Definition.user_managed()
    variables = mask_variables(definition.environment_variables)
    value = replace(definition, environment_variables=variables).to_json()
    if definition.is_user_managed:
        del value["python"]["condaDependencies"]
        if environment and target:
            value["python"]["interpreterPath"] = environment.interpreter_on(target)
    if definition.docker == DockerSection():
        del value["docker"]
    if definition.spark == SparkSection():
        del value["spark"]
    return {
        "name": environment.name if environment else "",
        "version": str(environment.version) if environment else None,
        **value,
    }


class _Dumper(yaml.SafeDumper):
    """Escapes what can't be seen: in other styles, not all line ends come back."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


def as_python(
    configuration: ScriptRunConfiguration,
    *,
    experiment: str,
    target: str,
    environment: str,
    version: int | None,
    tags: dict[str, str],
    display_name: str = "",
    priority: int = 0,
) -> str:
    """Python that submits the same run through the Azure ML SDK v1.

    That has no grace period of a run's own, and no number of GPUs but for Docker.
    """
    of_version = "" if version is None else f", version='{version}'"
    submitted = "config, tags=" + repr(tags) if tags else "config"
    lines = [
        "from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace",
        *_more_imports(configuration),
        "",
        "workspace = Workspace.from_config()",
        f"experiment = Experiment(workspace, {experiment!r})",
        f"environment = Environment.get(workspace, {environment!r}{of_version})",
        *_changes_of_environment(configuration),
        "",
        "config = ScriptRunConfig(",
        *(f"    {argument}," for argument in _arguments(configuration, target)),
        ")",
        *_changes_of_config(configuration, priority),
        f"run = experiment.submit({submitted})",
    ]
    if display_name:
        lines.append(f"run.display_name = {display_name!r}")
    lines.append("run.wait_for_completion(show_output=True)")
    return "\n".join(lines) + "\n"


def _more_imports(configuration: ScriptRunConfiguration) -> Iterator[str]:
    nodes, tasks, image = _shape(configuration)
    names = ["DockerConfiguration"] if image else []
    names += ["MpiConfiguration"] if nodes * tasks > 1 else []
    if names:
        yield f"from azureml.core.runconfig import {', '.join(names)}"


def _changes_of_environment(configuration: ScriptRunConfiguration) -> Iterator[str]:
    for name, value in configuration.environment_variables.items():
        yield f"environment.environment_variables[{name!r}] = {value!r}"
    if configuration.secrets:
        yield "keyvault = workspace.get_default_keyvault()"
    for name, secret in configuration.secrets.items():
        value = f"keyvault.get_secret({secret!r})"
        yield f"environment.environment_variables[{name!r}] = {value}"
    if image := _shape(configuration).image:
        yield f"environment.docker.base_image = {image!r}"


def _arguments(configuration: ScriptRunConfiguration, target: str) -> Iterator[str]:
    """Those of ScriptRunConfig."""
    nodes, tasks, image = _shape(configuration)
    yield 'source_directory="."'
    yield f"script={configuration.script!r}"
    if configuration.arguments:
        yield f"arguments={_list(configuration.arguments)}"
    yield f"compute_target={target!r}"
    yield "environment=environment"
    if nodes * tasks > 1:
        counts = f"process_count_per_node={tasks}, node_count={nodes}"
        yield f"distributed_job_config=MpiConfiguration({counts})"
    if image:
        more = _docker_arguments(configuration)
        arguments = f", arguments={more!r}" if more else ""
        yield f"docker_runtime_config=DockerConfiguration(use_docker=True{arguments})"
    if configuration.max_run_duration_seconds != DEFAULT_MAX_DURATION:
        yield f"max_run_duration_seconds={configuration.max_run_duration_seconds!r}"


def _changes_of_config(
    configuration: ScriptRunConfiguration, priority: int
) -> Iterator[str]:
    if configuration.framework == PYSPARK:
        yield f"config.run_config.framework = {PYSPARK!r}"
        if conf := _spark(configuration):
            yield f"config.run_config.spark.configuration = {conf!r}"
    if priority:
        yield f"config.run_config.priority = {int(priority)}"


class _Shape(NamedTuple):
    """How many processes a run is, on how many nodes, and in which image, if in one."""

    nodes: int
    tasks_per_node: int
    image: str


def _shape(configuration: ScriptRunConfiguration) -> _Shape:
    launch = configuration.launch
    return _Shape(
        nodes=launch.get("nodes") or 1,
        tasks_per_node=launch.get("tasks_per_node") or 1,
        image=launch.get("image") or "",
    )


def _docker_arguments(configuration: ScriptRunConfiguration) -> list[str]:
    return ["--gpus", str(configuration.gpus)] if configuration.gpus else []


def _spark(configuration: ScriptRunConfiguration) -> dict[str, str]:
    conf = dict(configuration.launch.get("conf", {}))
    if py_files := configuration.launch.get("py_files"):
        conf["spark.submit.pyFiles"] = ",".join(py_files)
    return conf


def _list(values: tuple[str, ...]) -> str:
    inline = repr(list(values))
    if len(inline) <= 60:
        return inline
    return "[\n" + "".join(f"        {value!r},\n" for value in values) + "    ]"
