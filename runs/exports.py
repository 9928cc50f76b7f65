"""A submission as others write it: a `.runconfig` file and Azure ML SDK v1 code.

The keys and their defaults are those of azureml-core 1.61; a key is left out where
that package would write its own default.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from computes.models import ComputeTarget
from environments.definition import Definition, DockerSection, SparkSection
from environments.models import Environment
from runs.configuration import DEFAULT_MAX_DURATION, ScriptRunConfiguration
from runs.masking import mask_variables

PYSPARK = "PySpark"


def as_runconfig(
    configuration: ScriptRunConfiguration,
    *,
    target: str,
    environment: Mapping[str, Any],
) -> str:
    """The text of a `.runconfig` file, as `RunConfiguration.load` reads it.

    `environment` is an `environment_section`.
    """
    content: dict[str, Any] = {
        "script": configuration.script,
        "arguments": list(configuration.arguments),
        "target": target,
        "framework": configuration.framework,
        "communicator": "None",
        "maxRunDurationSeconds": configuration.max_run_duration_seconds,
        "nodeCount": 1,
        "environment": dict(environment),
        "environmentVariables": dict(configuration.environment_variables),
        "history": {
            "outputCollection": True,
            "snapshotProject": True,
            "directoriesToWatch": ["logs"],
        },
    }
    if configuration.framework == PYSPARK:
        content["spark"] = {"configuration": _spark(configuration)}
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
) -> str:
    """Python that submits the same run through the Azure ML SDK v1.

    That has no grace period of a run's own.
    """
    of_version = "" if version is None else f", version='{version}'"
    lines = [
        "from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace",
        "",
        "workspace = Workspace.from_config()",
        f"experiment = Experiment(workspace, {experiment!r})",
        f"environment = Environment.get(workspace, {environment!r}{of_version})",
    ]
    for name, value in configuration.environment_variables.items():
        lines.append(f"environment.environment_variables[{name!r}] = {value!r}")
    lines += ["", "config = ScriptRunConfig(", '    source_directory=".",']
    lines.append(f"    script={configuration.script!r},")
    if configuration.arguments:
        lines.append(f"    arguments={_list(configuration.arguments)},")
    lines.append(f"    compute_target={target!r},")
    lines.append("    environment=environment,")
    if configuration.max_run_duration_seconds != DEFAULT_MAX_DURATION:
        limit = configuration.max_run_duration_seconds
        lines.append(f"    max_run_duration_seconds={limit!r},")
    lines.append(")")
    if configuration.framework == PYSPARK:
        lines.append(f"config.run_config.framework = {PYSPARK!r}")
        if conf := _spark(configuration):
            lines.append(f"config.run_config.spark.configuration = {conf!r}")
    submitted = "config, tags=" + repr(tags) if tags else "config"
    lines.append(f"run = experiment.submit({submitted})")
    if display_name:
        lines.append(f"run.display_name = {display_name!r}")
    lines.append("run.wait_for_completion(show_output=True)")
    return "\n".join(lines) + "\n"


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
