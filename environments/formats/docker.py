"""An environment that is an image: by its name, or by a Dockerfile's text."""

import re

from aml_portal.errors import UserError
from environments.definition import Definition, DockerSection, PythonSection
from environments.formats.reading import Read, text_of

FILE = "Dockerfile"
# Azure's name for the same in a saved environment.
BASE_FILE = "BaseDockerfile"
# [REGISTRY[:PORT]/]NAME[/NAME…][:TAG][@DIGEST]
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_FROM = re.compile(r"^[ \t]*FROM[ \t]+\S", re.MULTILINE | re.IGNORECASE)


def check_image(name: str) -> str:
    if len(name) > 512 or not _IMAGE.fullmatch(name):
        raise UserError(
            f"“{name[:80]}” is no name of a Docker image.",
            "Write it as docker pull takes it, such as python:3.12-slim.",
        )
    return name


def check_dockerfile(text: str) -> str:
    if not _FROM.search(text):
        raise UserError("The Dockerfile has no FROM line.", "Begin it with FROM IMAGE.")
    return text


def of_image(name: str) -> Read:
    """The image as it is: its own Python runs the script."""
    docker = DockerSection(enabled=True, base_image=check_image(name))
    return Read(definition=_as_it_is(docker))


def read(data: bytes, file: str = FILE) -> Read:
    text = check_dockerfile(text_of(data, file))
    return Read(
        definition=_as_it_is(DockerSection(enabled=True, base_dockerfile=text)),
        notes=_notes(text, file),
    )


def _notes(text: str, file: str) -> tuple[str, ...]:
    if re.search(r"^[ \t]*(COPY|ADD)[ \t](?!.*--from)", text, re.MULTILINE | re.I):
        return (f"{file} copies files: only addresses and other stages can be copied.",)
    return ()


def _as_it_is(docker: DockerSection) -> Definition:
    return Definition(
        python=PythonSection(user_managed_dependencies=True), docker=docker
    )
