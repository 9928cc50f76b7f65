"""Environments from files that people bring: their format, and what they say."""

from collections.abc import Mapping

from aml_portal.errors import UserError
from aml_portal.sizes import spell_size
from environments.definition import Definition
from environments.formats import azure, conda, docker, pyproject, requirements
from environments.formats.archives import MOST_BYTES, unpack
from environments.formats.reading import Read, text_of
from environments.programs import ProgramTimeout
from environments.uv import run_uv

_SECONDS = 20
_NAMES = frozenset(
    {
        *(azure.FILE, conda.FILE, "conda.yml", "environment.yml", docker.FILE),
        *(docker.BASE_FILE, requirements.FILE, pyproject.FILE, pyproject.LOCK_FILE),
    }
)
_MOST_LOCK = 4_000_000
_WHAT = (
    "Bring azureml_environment.json, conda.yml, requirements.txt, pyproject.toml, a"
    " Dockerfile, or a zip of them."
)


def read_files(files: Mapping[str, bytes]) -> Read:
    """The definition of what was uploaded together. Raises UserError."""
    if sum(map(len, files.values())) > MOST_BYTES:
        raise UserError(f"The files are larger than {spell_size(MOST_BYTES)}.", _WHAT)
    archives = [name for name in files if name.lower().endswith(".zip")]
    if archives and len(files) == 1:
        name = archives[0]
        files = unpack(files[name], name, wanted=_NAMES)
        if not files:
            raise UserError(f"{name} has no definition of an environment.", _WHAT)
    return _of_folder(files)


def _of_folder(files: Mapping[str, bytes]) -> Read:
    """The first of the formats that say most; the others belong to it or are left."""
    if azure.FILE in files:
        return azure.read(files)
    if pyproject.FILE in files:
        return _of_project(files)
    for endings, read in (
        ((".yml", ".yaml"), conda.read),
        ((".txt", ".in"), requirements.read),
    ):
        for name, data in files.items():
            if name.lower().endswith(endings):
                return read(data, name)
    for name, data in files.items():
        if "dockerfile" in name.lower():
            return docker.read(data, name)
    named = ", ".join(sorted(files))[:200]
    raise UserError(f"“{named}” is in no format that the portal knows.", _WHAT)


def _of_project(files: Mapping[str, bytes]) -> Read:
    lock = files.get(pyproject.LOCK_FILE)
    if lock is None:
        return pyproject.read(files[pyproject.FILE])
    text_of(lock, pyproject.LOCK_FILE, most=_MOST_LOCK)
    return _locked(files)


def _locked(files: Mapping[str, bytes]) -> Read:
    """The exact versions of `uv.lock`, which uv itself has to read."""
    read = pyproject.read(files[pyproject.FILE])
    names = (pyproject.FILE, pyproject.LOCK_FILE)
    try:
        answer = run_uv(
            *("export", "--frozen", "--no-dev", "--no-emit-project"),
            *("--no-header", "--no-annotate", "--offline"),
            files={name: files[name] for name in names},
            seconds=_SECONDS,
        )
    except ProgramTimeout as error:
        raise UserError(
            f"{pyproject.LOCK_FILE} could not be read within {_SECONDS} seconds."
        ) from error
    if not answer.has_succeeded:
        why = " ".join(answer.remarks.removeprefix("error:").split())[:400]
        raise UserError(f"{pyproject.LOCK_FILE} can't be read: {why}")
    lines = requirements.lines_of(answer.output, pyproject.LOCK_FILE)
    options = [
        line
        for line in read.definition.python.conda_dependencies.pip
        if line.startswith("--")
    ]
    asked = read.definition.python.conda_dependencies.python
    return Read(
        definition=Definition.of_packages(*options, *lines, python=asked),
        name=read.name,
        notes=read.notes,
    )
