"""Runs in containers: from the submission to the first line."""

import subprocess
import time

import httpx

from benchmarks.report import Section
from benchmarks.targets import ONE_LINE, first_line, first_line_figure, in_turn
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON, load_images
from tests.services.docker_targets import NAME, attach
from tests.services.portal import Portal

_ROUNDS = 12


def measure(portal: Portal, client: httpx.Client) -> Section:
    with DockerEngine() as engine:
        load_images(engine.client(), PYTHON)
        target = attach(client, engine)
        first, bare = in_turn(
            _ROUNDS,
            lambda: first_line(portal, client, target),
            lambda: _bare(engine),
        )
        client.post(f"/compute/{NAME}/detach/", data={"if_active": "cancel"})
    return Section(
        title="In Docker",
        how=(
            "On the engine of this machine, with an image that is there. From the"
            " submission over HTTP to the line in the mirror; against `docker run` with"
            " the same image and limits to the same line."
        ),
        figures=[first_line_figure(first, bare, against="docker run")],
    )


def _bare(engine: DockerEngine) -> float:
    options = ["--rm", "--init", "--network=none", "--cap-drop=ALL"]
    command = ["docker", f"--host={engine.url}", "run", *options, PYTHON]
    words = ["python3", "-u", "-c", ONE_LINE]
    begin = time.perf_counter()
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - begin
