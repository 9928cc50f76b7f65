"""What the real azureml-core writes is read, and the reverse."""

from pathlib import Path
from typing import Any

import pytest

from environments.definition import Definition, Kind
from environments.formats import azure
from environments.reading import read_files
from tests.services.azureml import run_azureml

# The first test may have to install it.
pytestmark = pytest.mark.timeout(300)
_WRITE = """
import json
from azureml.core import Environment
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.environment import SparkPackage

mine = Environment("mine")
conda = CondaDependencies.create(
    conda_packages=["cudatoolkit"], pip_packages=["pandas==2.2"], python_version="3.10")
conda.set_pip_option("--extra-index-url https://h/simple")
mine.python.conda_dependencies = conda
mine.environment_variables = {"A": "1"}
mine.spark.packages = [SparkPackage("g", "a", "1")]
mine.docker.base_image, mine.docker.base_dockerfile = None, "FROM x\\nRUN y\\n"
mine.docker.shm_size, mine.docker.arguments = "8g", ["--ipc=host"]
mine.save_to_directory("mine")

own = Environment("own")
own.python.user_managed_dependencies = True
own.python.interpreter_path = "/usr/bin/python3"
own.save_to_directory("own")
Environment.from_docker_image("image", "ubuntu:22.04").save_to_directory("image")
own_image = Environment("own-image")
own_image.docker.base_image = "h:5000/a/b:1"
own_image.docker.enabled = True
own_image.python.user_managed_dependencies = True
own_image.environment_variables = {"A": "", "B": "a b=c"}
own_image.spark.repositories = ["https://h/maven"]
own_image.spark.precache_packages = False
own_image.save_to_directory("own-image")
open("Dockerfile", "w").write("FROM x\\n")
open("conda.yml", "w").write("dependencies: [python=3.9, scipy, {pip: [numpy]}]")
Environment.from_dockerfile("file", "Dockerfile",
    conda_specification="conda.yml").save_to_directory("file")
whole = Environment.from_conda_specification("whole", "conda.yml")
open("whole.json", "w").write(json.dumps(Environment._serialize_to_dict(whole)))
open("wanted.txt", "w").write("numpy\\npandas>1\\n")
Environment.from_pip_requirements("pip", "wanted.txt").save_to_directory("pip")
"""
_READ = """
import json
from azureml.core import Environment
print(json.dumps(Environment._serialize_to_dict(Environment.load_from_directory("."))))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Definition]:
    folder = tmp_path_factory.mktemp("azureml")
    run_azureml(_WRITE, folder)
    found = {}
    for name in ("mine", "own", "image", "pip", "own-image", "file"):
        files = {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        read = read_files(files)
        assert (read.name, read.notes) == (name, ())
        found[name] = read.definition
    # As a registered one is told: its packages stand within it.
    whole = azure.read_text((folder / "whole.json").read_text())
    assert (whole.name, whole.notes) == ("whole", ())
    found["whole"] = whole.definition
    return found


def test_packages_docker_variables_and_spark_of_azure_are_read(
    written: dict[str, Definition],
) -> None:
    mine = written["mine"]
    conda = mine.python.conda_dependencies
    assert (conda.python, conda.beyond_pip) == ("3.10", ("cudatoolkit",))
    assert "pandas==2.2" in conda.pip
    assert "--extra-index-url https://h/simple" in conda.pip
    assert mine.docker.base_dockerfile == "FROM x\nRUN y\n"
    assert (mine.docker.shm_size, mine.docker.arguments) == ("8g", ("--ipc=host",))
    assert mine.environment_variables == {"A": "1"}
    assert mine.spark.packages == ("g:a:1",)


def test_other_makers_of_azure_are_read(written: dict[str, Definition]) -> None:
    assert written["own"].python.interpreter_path == "/usr/bin/python3"
    assert written["own"].is_user_managed
    assert written["image"].docker.base_image == "ubuntu:22.04"
    assert written["image"].is_user_managed
    assert written["pip"].python.conda_dependencies.pip == ("numpy", "pandas>1")


def test_images_and_inline_packages_of_azure_are_read(
    written: dict[str, Definition],
) -> None:
    image = written["own-image"]
    assert (image.kind, image.docker.base_image) == (Kind.IMAGE, "h:5000/a/b:1")
    assert image.is_user_managed
    assert image.environment_variables == {"A": "", "B": "a b=c"}
    assert image.spark.repositories == ("https://h/maven",)
    assert not image.spark.precache_packages
    file, whole = written["file"], written["whole"]
    # That it is used at all is up to the run, with Azure.
    assert (file.docker.enabled, file.docker.base_dockerfile) == (False, "FROM x\n")
    for each in (file, whole):
        conda = each.python.conda_dependencies
        assert (conda.python, conda.beyond_pip) == ("3.9", ("scipy",))
        assert conda.pip == ("numpy",)
    assert whole.kind is Kind.PACKAGES


@pytest.mark.parametrize(
    "definition",
    [
        {
            "environmentVariables": {"A": "é", "B": ""},
            "python": {
                "condaDependencies": {
                    "channels": ["conda-forge", "https://h/channel"],
                    "dependencies": ["python=3.11", "git", {"pip": ["numpy>=2"]}],
                }
            },
            "docker": {"baseDockerfile": "FROM x\n", "shmSize": "4g"},
            "spark": {"packages": ["g:a:1"]},
        },
        {
            "python": {"userManagedDependencies": True, "interpreterPath": "/opt/py"},
            "environmentVariables": {"A": "1"},
        },
        {
            "python": {"userManagedDependencies": True},
            "docker": {
                "enabled": True,
                "baseImage": "python:3.12-slim",
                "shmSize": "8g",
                "arguments": ["--ipc=host", "--cap-add=SYS_PTRACE"],
            },
        },
        {
            "spark": {
                "packages": ["g:a:1", "h:b:2"],
                "repositories": ["https://h/maven"],
                "precachePackages": False,
            },
            "python": {"condaDependencies": {"dependencies": [{"pip": ["pyspark"]}]}},
        },
    ],
    ids=["packages", "interpreter", "image", "spark"],
)
def test_azure_reads_what_the_portal_writes_and_writes_it_as_it_was(
    definition: dict[str, Any], tmp_path: Path
) -> None:
    """Read by Azure, and written by it as it registers one."""
    mine = Definition.from_json(definition)
    for name, text in azure.write(mine, name="mine", version=2).items():
        (tmp_path / name).write_text(text)
    read = azure.read_text(run_azureml(_READ, tmp_path))
    assert (read.name, read.notes) == ("mine", ())
    assert _facts(read.definition) == _facts(mine)


def _facts(definition: Definition) -> dict[str, Any]:
    """What counts: Azure names its own default where no image is named."""
    facts = definition.to_json()
    if not definition.docker.enabled:
        del facts["docker"]["baseImage"]
    return facts
