"""A script on a Spark cluster: how long until its first line is there."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.report import Section
from benchmarks.targets import (
    LINE,
    ONE_LINE,
    first_line,
    first_line_figure,
    in_turn,
)
from tests.services.portal import Portal
from tests.services.spark import CONF, SPARK_HOME, SparkCluster
from tests.services.targets import ready_key

_ROUNDS = 6
_NAME = "spark"


def measure(portal: Portal, client: httpx.Client) -> Section:
    with SparkCluster() as cluster, _attached(client, cluster):
        target = ready_key(client, _NAME)
        first, bare = in_turn(
            _ROUNDS,
            lambda: first_line(portal, client, target),
            lambda: _bare(cluster),
        )
    return Section(
        title="On a Spark cluster",
        how=(
            "From the submission over HTTP to the script's first line in the mirror;"
            " against `spark-submit` with the same settings to the same line. Nearly"
            f" all of it are the JVMs that Spark starts. {_ROUNDS} of each, in turn."
        ),
        figures=[first_line_figure(first, bare, against="spark-submit")],
    )


@contextmanager
def _attached(client: httpx.Client, cluster: SparkCluster) -> Iterator[None]:
    form = {
        "name": _NAME,
        "machine": "1",
        "master": cluster.master,
        "web_ui": cluster.web_ui,
        "conf": "\n".join(f"{key}={value}" for key, value in CONF.items()),
        "max_runs": "1",
    }
    client.post("/compute/new/spark/", data=form).raise_for_status()
    yield
    client.post(f"/compute/{_NAME}/detach/", data={"if_active": "cancel"})


def _bare(cluster: SparkCluster) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(ONE_LINE)
        command = [f"{SPARK_HOME}/bin/spark-submit", "--master", cluster.master]
        for key, value in CONF.items():
            command += ["--conf", f"{key}={value}"]
        environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
        begin = time.perf_counter()
        with subprocess.Popen(
            [*command, str(script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None
            while LINE not in process.stdout.readline():
                pass
            taken = time.perf_counter() - begin
            process.stdout.read()
        return taken
