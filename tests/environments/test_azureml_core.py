"""What the real azureml-core writes is read, and the reverse."""

from pathlib import Path

import pytest

from environments.definition import Definition
from environments.formats import azure
from environments.reading import read_files
from tests.services.azureml import run_azureml

# The first test may have to install it.
pytestmark = pytest.mark.timeout(300)
_WRITE = """
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
open("wanted.txt", "w").write("numpy\\npandas>1\\n")
Environment.from_pip_requirements("pip", "wanted.txt").save_to_directory("pip")
"""
_READ = """
import json
from azureml.core import Environment
read = Environment.load_from_directory(".")
print(json.dumps([read.name, read.python.user_managed_dependencies,
  list(read.python.conda_dependencies.conda_packages),
  list(read.python.conda_dependencies.pip_packages),
  list(read.python.conda_dependencies.conda_channels),
  read.python.conda_dependencies.get_python_version(),
  read.docker.base_dockerfile, read.docker.shm_size, read.environment_variables,
  [p.artifact for p in read.spark.packages]]))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Definition]:
    folder = tmp_path_factory.mktemp("azureml")
    run_azureml(_WRITE, folder)
    found = {}
    for name in ("mine", "own", "image", "pip"):
        files = {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        read = read_files(files)
        assert (read.name, read.notes) == (name, ())
        found[name] = read.definition
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


def test_azure_reads_what_the_portal_writes(tmp_path: Path) -> None:
    conda = {
        "channels": ["conda-forge"],
        "dependencies": ["python=3.11", "git", {"pip": ["numpy>=2"]}],
    }
    definition = Definition.from_json(
        {
            "environmentVariables": {"A": "é"},
            "python": {"condaDependencies": conda},
            "docker": {"baseDockerfile": "FROM x\n", "shmSize": "4g"},
            "spark": {"packages": ["g:a:1"]},
        }
    )
    for name, text in azure.write(definition, name="mine", version=2).items():
        (tmp_path / name).write_text(text)
    assert run_azureml(_READ, tmp_path).strip() == (
        '["mine", false, ["python=3.11", "git"], ["numpy>=2"], ["conda-forge"],'
        ' "3.11", "FROM x\\n", "4g", {"A": "\\u00e9"}, ["a"]]'
    )
