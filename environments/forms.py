"""The forms of environments: a definition in fields, as text, and from elsewhere."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from django import forms

from aml_portal.errors import UserError
from environments.definition import (
    DEFAULT_PYTHON,
    CondaDependencies,
    Definition,
    DockerSection,
    PythonSection,
    SparkSection,
)
from environments.exporting import from_text
from environments.formats.conda import check_dependencies
from environments.formats.pyproject import PYTHONS
from environments.formats.requirements import lines_of
from environments.models import Environment
from environments.rules import (
    NO_IMAGE,
    check_definition,
    check_docker,
    check_python,
    check_spark,
)
from environments.services import check_name

_T = TypeVar("_T")
PACKAGES, INTERPRETER = "packages", "interpreter"
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_CODE = {"spellcheck": "false", "autocomplete": "off", "autocapitalize": "none"}


def _lines(rows: int = 4, placeholder: str = "") -> forms.Textarea:
    attributes = {**_CODE, "class": "form-control mono", "rows": rows}
    return forms.Textarea(attrs={**attributes, "placeholder": placeholder})


def _line(placeholder: str = "", **attributes: str) -> forms.TextInput:
    plain = {**_CODE, "class": "form-control", "placeholder": placeholder}
    return forms.TextInput(attrs={**plain, **attributes})


class NamedForm(forms.Form):
    """What every form of an environment begins with."""

    name = forms.CharField(
        max_length=255,
        validators=Environment._meta.get_field("name").validators,
        widget=_line("my-environment"),
        help_text="A name that exists gets a new version, if anything changed.",
    )
    description = forms.CharField(max_length=255, required=False, widget=_line())

    def __init__(self, *args: Any, base: Definition | None = None, **more: Any) -> None:
        """`base` is what is edited: of it stays what the form does not show."""
        super().__init__(*args, **{"label_suffix": "", **more})
        self.base = base or Definition.of_packages()
        self.notes: tuple[str, ...] = ()

    @property
    def definition(self) -> Definition:
        """Of a form that is valid, but for what `clean` finds. Raises UserError."""
        raise NotImplementedError

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        _checked(lambda: check_name(name))
        return name

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                check_definition(self.definition)
            except UserError as error:
                self.refuse(error)
        return data

    def refuse(self, error: UserError) -> None:
        """Tell it beside what it is most likely about."""
        self.add_error(None, str(error))

    def focus_first_error(self) -> None:
        """Have the page begin at the first field that has to be mended."""
        for name, field in self.fields.items():
            if name in self.errors:
                field.widget.attrs["autofocus"] = True
                return


class EnvironmentForm(NamedForm):
    """A definition, field by field."""

    how = forms.ChoiceField(
        label="How a script gets its Python",
        choices=[
            (PACKAGES, "Packages: a Python of its own, built where the run goes"),
            (INTERPRETER, "User-managed: a Python that is there already"),
        ],
        initial=PACKAGES,
        required=False,
        widget=forms.RadioSelect,
    )
    python = forms.CharField(
        label="Python version",
        required=False,
        initial=DEFAULT_PYTHON,
        widget=_line(DEFAULT_PYTHON, list="pythons"),
        help_text=f"From {PYTHONS[-1]} to {PYTHONS[0]}.",
    )
    packages = forms.CharField(
        label="Python packages",
        required=False,
        widget=_lines(8, "numpy>=2,<3"),
        help_text="As in a requirements file: one per line, with versions where they"
        " matter. Everybody can read them; an administrator keeps the passwords of"
        " package indexes in the portal's settings.",
    )
    conda = forms.CharField(
        label="conda packages",
        required=False,
        widget=_lines(2, "cudatoolkit=11.8"),
        help_text="What only conda has. One per line.",
    )
    channels = forms.CharField(
        label="conda channels",
        required=False,
        initial="conda-forge",
        widget=_line("conda-forge"),
        help_text="Where conda looks, in this order, with spaces between.",
    )
    interpreter_path = forms.CharField(
        label="Interpreter",
        max_length=4096,
        required=False,
        widget=_line("/opt/conda/envs/train/bin/python"),
        help_text="The path of a Python on the compute target. Empty: the target's own"
        " Python, which on this machine is that of the portal.",
    )
    docker = forms.BooleanField(label="Run in Docker", required=False)
    base_image = forms.CharField(
        label="Image", max_length=512, required=False, widget=_line("python:3.12-slim")
    )
    base_dockerfile = forms.CharField(
        label="Dockerfile",
        required=False,
        strip=False,
        widget=_lines(5, "FROM python:3.12-slim"),
        help_text="Instead of an image: one is built from it.",
    )
    shm_size = forms.CharField(
        label="Shared memory",
        required=False,
        initial=DockerSection().shm_size,
        widget=_line(),
        help_text="Such as 2g. Data loaders with many processes need more.",
    )
    arguments = forms.CharField(
        label="Arguments for Docker",
        required=False,
        widget=_lines(2, "--ipc=host"),
        help_text="One per line.",
    )
    variables = forms.CharField(
        label="Environment variables",
        required=False,
        widget=_lines(4, "NAME=value"),
        help_text="One per line, as NAME=value. A run's own variables win over these."
        " Everybody can read them; give secrets to the run instead.",
    )
    spark_packages = forms.CharField(
        label="Spark packages",
        required=False,
        widget=_lines(2, "group:artifact:version"),
        help_text="Maven coordinates, one per line.",
    )
    spark_repositories = forms.CharField(
        label="Repositories",
        required=False,
        widget=_lines(2, "https://"),
        help_text="Where to look for them, one per line.",
    )
    precache = forms.BooleanField(
        label="Fetch the packages before the run", required=False, initial=True
    )

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        # A field that has an error of its own is not there.
        if data.get("docker") and data.get("base_image") == data.get("base_dockerfile"):
            self.add_error("base_image", NO_IMAGE)
        return super().clean()

    def refuse(self, error: UserError) -> None:
        is_packages = self.cleaned_data.get("how") != INTERPRETER
        self.add_error("packages" if is_packages else "interpreter_path", str(error))

    def clean_python(self) -> str:
        asked: str = self.cleaned_data["python"]
        if self.cleaned_data.get("how") != INTERPRETER:
            _checked(lambda: check_python(asked))
        return asked

    def clean_packages(self) -> tuple[str, ...]:
        text = self.cleaned_data["packages"].replace("\r\n", "\n")
        return tuple(_checked(lambda: lines_of(text, "the packages")))

    def clean_conda(self) -> tuple[str, ...]:
        found = _split(self.cleaned_data["conda"])
        _checked(lambda: check_dependencies(CondaDependencies(packages=found)))
        return found

    def clean_channels(self) -> tuple[str, ...]:
        found = tuple(self.cleaned_data["channels"].split())
        _checked(lambda: check_dependencies(CondaDependencies(channels=found)))
        return found

    def clean_base_image(self) -> str:
        image: str = self.cleaned_data["base_image"]
        _checked(lambda: check_docker(DockerSection(base_image=image)))
        return image

    def clean_base_dockerfile(self) -> str:
        text: str = self.cleaned_data["base_dockerfile"].replace("\r\n", "\n")
        _checked(lambda: check_docker(DockerSection(base_dockerfile=text)))
        return text

    def clean_shm_size(self) -> str:
        size: str = self.cleaned_data["shm_size"] or DockerSection().shm_size
        _checked(lambda: check_docker(DockerSection(shm_size=size)))
        return size

    def clean_spark_packages(self) -> tuple[str, ...]:
        found = _split(self.cleaned_data["spark_packages"])
        _checked(lambda: check_spark(SparkSection(packages=found)))
        return found

    def clean_spark_repositories(self) -> tuple[str, ...]:
        found = _split(self.cleaned_data["spark_repositories"])
        _checked(lambda: check_spark(SparkSection(repositories=found)))
        return found

    def clean_variables(self) -> dict[str, str]:
        variables = {}
        for number, line in enumerate(self.cleaned_data["variables"].splitlines(), 1):
            if not line.strip():
                continue
            match = _VARIABLE.fullmatch(line.strip())
            if match is None:
                raise forms.ValidationError(
                    f"Line {number} is not NAME=value, where the name has letters,"
                    " digits and underscores and does not begin with a digit."
                )
            variables[match[1]] = match[2]
        return variables

    @property
    def definition(self) -> Definition:
        data = self.cleaned_data
        return Definition(
            python=self._python(),
            docker=DockerSection(
                enabled=data["docker"],
                base_image=data["base_image"],
                base_dockerfile=data["base_dockerfile"],
                shm_size=data["shm_size"],
                arguments=_split(data["arguments"]),
            ),
            spark=SparkSection(
                repositories=data["spark_repositories"],
                packages=data["spark_packages"],
                precache_packages=data["precache"],
            ),
            environment_variables=data["variables"],
        )

    def _python(self) -> PythonSection:
        data, before = self.cleaned_data, self.base.python
        if data["how"] == INTERPRETER:
            return replace(
                before,
                user_managed_dependencies=True,
                interpreter_path=data["interpreter_path"],
            )
        return PythonSection(conda_dependencies=self._dependencies())

    def _dependencies(self) -> CondaDependencies:
        """As they were, where nothing but their order could differ."""
        data, before = self.cleaned_data, self.base.python.conda_dependencies
        packages = before.packages
        asked = data["python"]
        if (before.python, before.beside_python) != (asked, data["conda"]):
            packages = ((f"python={asked}",) if asked else ()) + data["conda"]
        return CondaDependencies(
            name=before.name,
            channels=data["channels"],
            packages=packages,
            pip=data["packages"],
        )


class TextForm(NamedForm):
    """A definition as text; `kind` is its format, one of TEXTS."""

    text = forms.CharField(label="Text", strip=False, widget=_lines(22))

    def __init__(self, *args: Any, kind: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.kind = kind

    @property
    def definition(self) -> Definition:
        read = from_text(self.cleaned_data["text"], self.kind, self.base)
        self.notes = read.notes
        return read.definition

    def refuse(self, error: UserError) -> None:
        self.add_error("text", str(error))


def initial_of(definition: Definition) -> dict[str, Any]:
    """What the fields of EnvironmentForm hold for a definition."""
    python, docker, spark = definition.python, definition.docker, definition.spark
    conda = python.conda_dependencies
    variables = definition.environment_variables.items()
    return {
        "how": INTERPRETER if definition.is_user_managed else PACKAGES,
        "python": conda.python or DEFAULT_PYTHON,
        "packages": "\n".join(conda.pip),
        "conda": "\n".join(conda.beside_python),
        "channels": " ".join(conda.channels),
        "interpreter_path": python.interpreter_path,
        "docker": docker.enabled,
        "base_image": docker.base_image,
        "base_dockerfile": docker.base_dockerfile,
        "shm_size": docker.shm_size,
        "arguments": "\n".join(docker.arguments),
        "variables": "\n".join(f"{name}={value}" for name, value in variables),
        "spark_packages": "\n".join(spark.packages),
        "spark_repositories": "\n".join(spark.repositories),
        "precache": spark.precache_packages,
    }


def _split(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _checked(read: Callable[[], _T]) -> _T:
    """What `read` answers; what is wrong becomes the field's error."""
    try:
        return read()
    except UserError as error:
        raise forms.ValidationError(str(error)) from error
