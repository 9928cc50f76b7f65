"""A standalone Spark cluster for tests: a master and one worker, on loopback."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, Self

import pyspark

from tests.services.service import Service
from tests.waiting import eventually, free_port

SPARK_HOME = Path(pyspark.__file__).parent
# A JVM is there sooner, and takes less memory, without its best compiler.
QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# What a small job needs on a small machine.
CONF = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.driver.extraJavaOptions": QUICK_JVM,
    "spark.executor.extraJavaOptions": QUICK_JVM,
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
}
_CORES = 2


class SparkCluster(Service):
    """Runs for the length of a `with` block; pip's Spark with the system's Java."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aml-spark-"))
        self.port = free_port()
        self._web_port = free_port()
        self._master: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None

    @property
    def master(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    @property
    def web_ui(self) -> str:
        return f"http://127.0.0.1:{self._web_port}"

    def state(self) -> dict[str, Any]:
        """What the master tells of its workers and applications."""
        with urllib.request.urlopen(f"{self.web_ui}/json/", timeout=5) as answer:
            state: dict[str, Any] = json.load(answer)
            return state

    def applications(self, kind: str = "active") -> list[str]:
        """The names of the applications that are "active" or "completed"."""
        return [application["name"] for application in self.state()[f"{kind}apps"]]

    def start(self) -> None:
        self.start_master()
        self.start_worker()

    def start_master(self) -> None:
        words = ["--port", str(self.port), "--webui-port", str(self._web_port)]
        self._master = self._launch("master.Master", *words)
        eventually(self._answers, "the Spark master answers", 60)

    def start_worker(self) -> None:
        words = ["--webui-port", "0", "--cores", str(_CORES), "--memory", "1g"]
        self._worker = self._launch("worker.Worker", *words, self.master)
        eventually(self._has_worker, "the Spark worker is registered", 60)

    def kill_worker(self) -> None:
        """End the worker and its executors, as when their machine is lost."""
        _kill(self._worker)
        self._worker = None

    def stop_master(self) -> None:
        _kill(self._master)
        self._master = None

    def stop(self) -> None:
        self.kill_worker()
        self.stop_master()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _launch(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        program = SPARK_HOME / "bin/spark-class"
        command = [str(program), f"org.apache.spark.deploy.{name}", "--host"]
        environment = {
            **os.environ,
            "SPARK_HOME": str(SPARK_HOME),
            # Also the pages of master and worker are for this machine alone.
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_WORKER_DIR": str(self.folder / "work"),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": QUICK_JVM,
            # Anybody could submit through it.
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
        }
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, "127.0.0.1", *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            return bool(self.state()["status"] == "ALIVE")
        except OSError:
            return False

    def _has_worker(self) -> bool:
        return any(worker["state"] == "ALIVE" for worker in self.state()["workers"])

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            error.add_note(self.log())
            self.stop()
            raise
        return self

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


def _kill(process: "subprocess.Popen[bytes] | None") -> None:
    """End a daemon with all that it has started."""
    if process is not None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
