"""A script on a Spark cluster: how long until its first line is there."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.report import Figure, Section, spread
from benchmarks.targets import key_of
from tests.services.portal import Portal
from tests.services.runs import submit, upload
from tests.services.spark import CONF, SPARK_HOME, SparkCluster
from tests.waiting import eventually

_ROUNDS = 6
_NAME = "spark"
_LINE = b"the first line"
_SCRIPT = f"print({_LINE.decode()!r})\n"


def measure(portal: Portal, client: httpx.Client) -> Section:
    with SparkCluster() as cluster, _attached(client, cluster):
        target = key_of(client, _NAME)
        # In turn, so that both see the same machine.
        pairs = [
            (_first_line(portal, client, target), _bare(cluster))
            for _ in range(_ROUNDS + 1)
        ][1:]
    first, bare = (list(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(first) / statistics.median(bare)
    more = statistics.median(first) - statistics.median(bare)
    return Section(
        title="On a Spark cluster",
        how=(
            "From the submission over HTTP to the script's first line in the mirror;"
            " against `spark-submit` with the same settings to the same line. Nearly"
            f" all of it are the JVMs that Spark starts. {_ROUNDS} of each, in turn."
        ),
        figures=[
            Figure(
                what="submission → first line",
                value=spread(first),
                against=f"`spark-submit` {spread(bare)}",
                ratio=f"{ratio:.2f} ({more * 1000:+.0f} ms)",
                aim="at most 500 ms more",
            )
        ],
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
    eventually(lambda: "Ready" in client.get(f"/compute/{_NAME}/").text, "checked", 60)
    yield
    client.post(f"/compute/{_NAME}/detach/", data={"if_active": "cancel"})


def _first_line(portal: Portal, client: httpx.Client, target: str) -> float:
    snapshot = upload(client, {"train.py": _SCRIPT})
    begin = time.perf_counter()
    run = submit(portal, client, snapshot=snapshot, target=target)
    while _LINE not in run.log():
        time.sleep(0.001)
    taken = time.perf_counter() - begin
    assert run.wait_for_end() == "Completed"
    return taken


def _bare(cluster: SparkCluster) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text(_SCRIPT)
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
            while _LINE not in process.stdout.readline():
                pass
            taken = time.perf_counter() - begin
            process.stdout.read()
        return taken
