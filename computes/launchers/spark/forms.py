"""What attaching a Spark target asks, and what a run on one can choose."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.validators import URLValidator

from aml_portal.errors import UserError
from computes.form_fields import LinesField, PlainField, checking
from computes.forms import OnMachineForm
from computes.launchers.spark.notation import (
    check_master,
    check_memory,
    check_py_files,
    looks_secret,
    parse_conf,
    spell_conf,
)
from computes.run_options import RunOptionsForm

_MOST_CORES = 4096
# What a run can choose by a name of its own, as Azure ML's Spark jobs call it.
_NAMED = {
    "driver_memory": "spark.driver.memory",
    "executor_memory": "spark.executor.memory",
    "executor_cores": "spark.executor.cores",
    "executor_instances": "spark.executor.instances",
}


class MemoryField(PlainField):
    """An amount as Java spells it."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            max_length=16,
            validators=[checking(check_memory)],
            help_text="Such as 512m or 4g.",
        )


class ConfField(LinesField):
    """Lines such as `spark.x.y=value`, as a mapping."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        try:
            return parse_conf(text or "")
        except UserError as error:
            raise forms.ValidationError(str(error)) from error

    def prepare_value(self, value: Any) -> Any:
        return spell_conf(value) if isinstance(value, Mapping) else value


class PyFilesField(LinesField):
    """Names of files of the snapshot, one a line, as a list."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        names = [line.strip() for line in text.splitlines() if line.strip()]
        try:
            check_py_files(names)
        except UserError as error:
            raise forms.ValidationError(str(error)) from error
        return names

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class SparkForm(OnMachineForm):
    """A master, and the machine from which work is sent to it."""

    field_order = (
        *("name", "machine", "master", "web_ui", "spark_home", "java_home"),
        *("conf", "secret_conf", "max_runs", "description"),
    )
    secret_names = ("secret_conf",)
    foremost = ("name", "machine", "master", "web_ui", "conf", "max_runs")

    master = PlainField(
        max_length=2048,
        validators=[checking(check_master)],
        help_text="spark://HOST:7077, with HOST:PORT,… for each that stands by;"
        " local[*], local[4], yarn or k8s://HOST:PORT.",
    )
    web_ui = PlainField(
        label="Web page of the master",
        required=False,
        max_length=2048,
        validators=[URLValidator(schemes=["http", "https"])],
        help_text="Such as http://HOST:8080, as the machine reaches it. Runs are linked"
        " to their applications there, and say when they wait for executors.",
    )
    spark_home = PlainField(
        label="SPARK_HOME",
        required=False,
        max_length=4096,
        help_text="The folder of Spark on the machine. Empty: the pyspark of the run's"
        " environment, else the spark-submit in the PATH.",
    )
    java_home = PlainField(
        label="JAVA_HOME",
        required=False,
        max_length=4096,
        help_text="Spark 4 needs Java 17 or newer. Empty: the java in the PATH.",
    )
    conf = ConfField(
        rows=4,
        label="Configuration",
        required=False,
        help_text="Of every run: spark.NAME=VALUE, one a line. A run's own wins.",
    )
    secret_conf = LinesField(
        rows=4,
        label="Secret configuration",
        required=False,
        max_length=32_000,
        validators=[checking(parse_conf)],
        help_text="Lines of the same kind with passwords and tokens. They are kept"
        " encrypted, are not shown again, and reach Spark in a file.",
    )

    def clean_conf(self) -> dict[str, str]:
        conf: dict[str, str] = self.cleaned_data["conf"]
        _check_for_secrets(conf, "Write it under “Secret configuration”.")
        return conf


class SparkRunForm(RunOptionsForm):
    """What one application needs, under the names of Azure ML's Spark jobs."""

    driver_memory = MemoryField()
    executor_memory = MemoryField()
    executor_cores = forms.IntegerField(
        required=False, min_value=1, max_value=_MOST_CORES
    )
    executor_instances = forms.IntegerField(
        label="Executors", required=False, min_value=1, max_value=_MOST_CORES
    )
    conf = ConfField(
        rows=4,
        label="Spark configuration",
        required=False,
        help_text="spark.NAME=VALUE, one a line; it wins over the compute target's.",
    )
    py_files = PyFilesField(
        rows=2,
        label="Python files",
        required=False,
        help_text="Files of the source that executors import: .py, .zip or .egg, one a"
        " line.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        conf = dict(self.initial.get("conf", {}))
        named = {name: conf.pop(key) for name, key in _NAMED.items() if key in conf}
        self.initial = {**self.initial, **named, "conf": conf}

    def clean_conf(self) -> dict[str, str]:
        conf: dict[str, str] = self.cleaned_data["conf"]
        _check_for_secrets(
            conf,
            "Everybody may read what a run was given: have an administrator keep it"
            " with the compute target.",
        )
        for name, key in _NAMED.items():
            if key in conf and self.cleaned_data.get(name):
                raise forms.ValidationError(f"{key} has a field of its own as well.")
        return conf

    @property
    def options(self) -> dict[str, Any]:
        """The configuration, with what has a field of its own, and the Python files."""
        given = super().options
        named = {key: str(given[name]) for name, key in _NAMED.items() if name in given}
        conf = {**given.get("conf", {}), **named}
        options = {"conf": conf, "py_files": given.get("py_files", [])}
        return {name: value for name, value in options.items() if value}

    @classmethod
    def filled(
        cls, options: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        conf = {**settings.get("conf", {}), **options.get("conf", {})}
        return {**options, "conf": conf} if conf else dict(options)


def _check_for_secrets(conf: Mapping[str, str], advice: str) -> None:
    for key in conf:
        if looks_secret(key):
            raise forms.ValidationError(f"{key} looks like a secret. {advice}")
