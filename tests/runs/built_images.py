"""Environments that are images, and what became of the runs that need them."""

import threading
from dataclasses import replace
from typing import Any

import docker
from django.db import connection

from environments.definition import Definition, DockerSection
from environments.models import Environment
from environments.services import save_environment
from runs.mirror import log_path
from runs.models import Run
from tests.services.monitor import Monitor, take_up


def remove_built(client: docker.DockerClient) -> None:
    for container in client.containers.list(all=True, ignore_removed=True):
        if "aml-environment" in container.attrs["Config"]["Image"]:
            container.remove(force=True)
    for image in client.images.list("aml-environment"):
        client.images.remove(str(image.id), force=True)
    client.images.prune({"dangling": True})


def environment(*pip: str, **docker: Any) -> Environment:
    definition = Definition.of_packages(*pip)
    definition = replace(definition, docker=DockerSection(**docker))
    return save_environment(name="tiny", definition=definition)


def plain(**docker: Any) -> Environment:
    """One that is an image as it is."""
    definition = replace(Definition.user_managed(), docker=DockerSection(**docker))
    return save_environment(name="plain", definition=definition)


def built(client: docker.DockerClient) -> list[str]:
    return [tag for each in client.images.list("aml-environment") for tag in each.tags]


def log_of(run: Run) -> str:
    return log_path(run.run_id).read_text() if log_path(run.run_id).exists() else ""


def notes(run: Run) -> list[str]:
    return list(run.events.values_list("detail", flat=True))


def in_background(run: Run) -> threading.Thread:
    def submit() -> None:
        try:
            take_up(run)
        finally:
            connection.close()

    thread = threading.Thread(target=submit)
    thread.start()
    return thread


def has_begun(monitor: Monitor, run: Run) -> None:
    monitor.wait(lambda: "begun" in log_of(run), "the step has begun")


def has_ended(client: docker.DockerClient) -> bool:
    """Whether there is no container of a build: those have no name of a job."""
    there = client.containers.list(all=True, ignore_removed=True)
    return all(str(each.name).startswith("aml-") for each in there)
