"""Compute targets on Docker engines, attached as the form attaches them."""

import sys
from pathlib import Path

import httpx

from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON
from tests.services.targets import ready_key

NAME = "whale"


def attach(client: httpx.Client, engine: DockerEngine, **fields: object) -> str:
    """One of a real portal, once it is checked; its key, for submissions."""
    given = {**fields_of(engine), "machine": 1, **fields}
    form = {name: str(value) for name, value in given.items()}
    page = client.post("/compute/new/docker/", data=form)
    assert page.url.path == f"/compute/{NAME}/", page.text
    return ready_key(client, NAME)


def fields_of(engine: DockerEngine) -> dict[str, object]:
    """What is typed into the form, but for the machine."""
    return {
        "name": NAME,
        "socket": engine.socket,
        "image": PYTHON,
        "python": "python3",
        "network": "none",
        "max_runs": 50,
    }


def with_packages() -> dict[str, str]:
    """What a target needs so that its runs have the packages of these tests."""
    return {
        "python": sys.executable,
        "mounts": "\n".join(f"{place}:{place}:ro" for place in _packages()),
    }


def _packages() -> list[Path]:
    """Where they are, and where the links to there are."""
    named = Path(sys.prefix)
    return list(dict.fromkeys([named, named.resolve()]))
