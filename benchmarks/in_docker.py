"""Runs in containers: from the submission to the first line."""

import statistics
import subprocess
import time

import httpx

from benchmarks.report import Figure, Section, spread
from benchmarks.targets import ONE_LINE, first_line
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON, load_images
from tests.services.docker_targets import NAME, attach
from tests.services.portal import Portal

_ROUNDS = 12


def measure(portal: Portal, client: httpx.Client) -> Section:
    with DockerEngine() as engine:
        load_images(engine.client(), PYTHON)
        target = attach(client, engine)
        first = [first_line(portal, client, target) for _ in range(_ROUNDS + 1)][1:]
        bare = [_bare(engine) for _ in range(_ROUNDS)]
        client.post(f"/compute/{NAME}/detach/", data={"if_active": "cancel"})
    median = statistics.median
    return Section(
        title="In Docker",
        how=(
            "On the engine of this machine, with an image that is there. From the"
            " submission over HTTP to the line in the mirror; against `docker run` with"
            " the same image and limits to the same line."
        ),
        figures=[
            Figure(
                what="submission → first line",
                value=spread(first),
                against=f"`docker run` {spread(bare)}",
                ratio=f"{median(first) / median(bare):.1f}",
                aim="at most 500 ms more",
            )
        ],
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
