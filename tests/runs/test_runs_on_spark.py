"""Runs on a real Spark cluster: a standalone master with one worker."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from computes.checks import Checks
from computes.hosts.local import LocalHost
from computes.launchers import Sight
from computes.models import ComputeTarget
from computes.targets import host_of, launcher_of
from runs import execution, services, sights
from runs.mirror import last_word, log_path, mirror_folder
from runs.models import Run
from runs.reports import LastWord
from runs.status import EndReason, RunStatus
from tests import factories
from tests.computes.jobs import is_alive
from tests.computes.objects import source
from tests.services.monitor import Monitor, job_folder, placed, started
from tests.services.spark import CONF, SparkCluster
from tests.services.spark_targets import PATIENCE, attach
from tests.services.sshd import Sshd
from tests.waiting import eventually, free_port

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
    pytest.mark.timeout(240),
]
EXAMPLE = Path(__file__).parents[2] / "examples/spark_digits"
SECRET = "open-sesame-of-the-cluster"
# Tells all that it was given; a module that is sent along does the work.
TELLS = """
import json, os, sys, time
from pathlib import Path
from pyspark.sql import SparkSession
from squares import square

spark = SparkSession.builder.appName("a name of its own").getOrCreate()
conf = spark.sparkContext.getConf()
numbers = spark.sparkContext.parallelize(range(10), 2).map(square)
Path("outputs/told.json").write_text(json.dumps({
    "arguments": sys.argv[1:],
    "sum": numbers.sum(),
    "application": spark.sparkContext.applicationId,
    "conf": {key: conf.get(key) for key in sys.argv[1].split(",")},
    "run": os.environ["AZUREML_RUN_ID"],
}))
while not os.path.exists("go"):
    time.sleep(0.05)
spark.stop()
sys.exit(7)
"""
FILES = {"train.py": TELLS, "lib/squares.py": "def square(n): return n * n"}
WORKS = """
import os
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
total, rounds = 0, 0
while not os.path.exists("go") or rounds < 2:
    total = spark.sparkContext.parallelize(range(100), 2).sum()
    rounds += 1
    print("round", rounds, total, flush=True)
"""
WAITS = """
import subprocess, sys, time
from pyspark.sql import SparkSession

SparkSession.builder.getOrCreate()
subprocess.Popen(["setsid", sys.executable, "-c", "import time; time.sleep(600)"])
print("it waits", flush=True)
time.sleep(600)
"""
SAYS_HELLO = """
from pyspark.sql import SparkSession
SparkSession.builder.getOrCreate()
"""


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Monitor, ComputeTarget]]:
    """A machine over SSH, and who follows the runs there."""
    with Sshd() as sshd:
        machine = factories.machine(sshd, tmp_path / "far")
        host, monitor = host_of(machine), Monitor()
        monitor.begin(host)
        yield monitor, machine
        for run in Run.objects.all():
            host.cancel(run.run_id, grace_seconds=0, reason="The test is over.")
        monitor.stop()


@pytest.fixture(scope="module")
def without_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Alone"]:
    """A job whose master is away; begun first, since Spark tries for a minute."""
    alone = Alone(tmp_path_factory.mktemp("alone"))
    yield alone
    alone.host.cancel("alone", grace_seconds=0, reason="The tests are over.")


class Alone:
    """A job on a Spark target of which no database knows."""

    def __init__(self, folder: Path) -> None:
        self.host = LocalHost(folder / "jobs")
        settings = {
            "master": f"spark://127.0.0.1:{free_port()}",
            "web_ui": "",
            "spark_home": "",
            "java_home": "",
            "conf": CONF,
        }
        target = ComputeTarget(name="alone", kind="spark", settings=settings)
        self.launcher = target.its_kind.launcher(target, self.host)
        spec = self.launcher.spec(_spec("alone"), {})
        self.host.stage(
            "alone", spec, source(folder, {"train.py": SAYS_HELLO.encode()})
        )
        self.launcher.start("alone", spec)

    def sight(self) -> Sight:
        return self.launcher.look(["alone"])["alone"]


def _spec(job: str) -> dict[str, object]:
    return {
        "id": job,
        "argv": [sys.executable, "./train.py"],
        "cwd": "work",
        "env": {},
        "grace_seconds": 5,
        "max_duration_seconds": None,
    }


def log_of(run: Run) -> str:
    path = log_path(run.run_id)
    return path.read_text() if path.exists() else ""


def word_of(run: Run) -> LastWord:
    word = last_word(run.run_id)
    assert word is not None
    return word


def command_lines() -> str:
    """The arguments of all processes there are."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def test_a_target_is_checked(
    without_master: "Alone", spark_cluster: SparkCluster
) -> None:
    target = attach(spark_cluster)
    checks = Checks(host=host_of(target), launcher=launcher_of(target))
    found = {each.name: (each.is_fine, each.detail) for each in checks}
    assert [*found][-4:] == ["Java", "Spark", "Spark master", "A one-second job"]
    assert all(is_fine for is_fine, _ in found.values()), found
    assert found["Java"][1].startswith("Java 17.")
    assert found["Spark"][1].startswith("Spark 4.1.1 in /")
    assert "Workers: 1; cores: 0 of 2 in use." in found["Spark master"][1]


def test_a_script_gets_all_that_it_was_given_and_its_exit_code_counts(
    far: tuple[Monitor, ComputeTarget], spark_cluster: SparkCluster, tmp_path: Path
) -> None:
    """On a machine over SSH, as clusters usually are reached."""
    monitor, machine = far
    secret = f"spark.test.password={SECRET}"
    target = attach(spark_cluster, machine=machine.pk, secret_conf=secret)
    keys = "spark.test.password,spark.test.path,spark.executor.cores,spark.app.name"
    arguments = (keys, "--name", "", "ä $(x) 'y' \\ \n", "--conf=spark.test.path=other")
    run = started(
        snapshot=factories.snapshot(FILES),
        arguments=arguments,
        target=target,
        launch={
            "conf": {"spark.test.path": "C:\\new = 1", "spark.executor.cores": "2"},
            "py_files": ["lib/squares.py"],
        },
    )
    folder = tmp_path / "far/jobs" / run.run_id
    told = folder / "work/outputs/told.json"
    monitor.wait(told.exists, "the script has told all", PATIENCE)
    sights.look(target)
    assert SECRET not in command_lines()
    assert (folder / "spark.conf").stat().st_mode & 0o077 == 0
    assert SECRET not in (folder / "job.json").read_text()
    said = json.loads(told.read_text())
    assert said == {
        "arguments": list(arguments),
        "sum": 285,
        "application": said["application"],
        "conf": {
            "spark.test.password": SECRET,
            "spark.test.path": "C:\\new = 1",
            "spark.executor.cores": "2",
            "spark.app.name": "a name of its own",
        },
        "run": run.run_id,
    }
    address = f"{run.get_absolute_url()}?tab=overview"
    page = factories.signed_in(run.owner).get(address).content.decode()
    assert f'{spark_cluster.web_ui}/app/?appId={said["application"]}"' in page
    (folder / "work/go").touch()
    monitor.wait_for_end(run, PATIENCE)
    assert (run.status, run.end_reason) == (RunStatus.FAILED, EndReason.EXIT_CODE)
    assert word_of(run).exit_code == 7
    assert SECRET not in log_of(run)
    assert run.configuration.framework == "PySpark"


def test_a_cancel_leaves_no_driver_and_no_application(
    monitor: Monitor, spark_cluster: SparkCluster
) -> None:
    run = started(WAITS, target=attach(spark_cluster), grace_seconds=10)
    monitor.wait(lambda: "it waits" in log_of(run), "it waits", PATIENCE)
    assert len(spark_cluster.applications()) == 1
    services.cancel_run(run, by="the test")
    monitor.wait_for_end(run, PATIENCE)
    assert run.status == RunStatus.CANCELED
    receipt = word_of(run).receipt
    assert receipt is not None
    # spark-submit's Java, the driver, and what left its session.
    assert len(receipt.processes) >= 3
    assert receipt.left == 0
    assert not [each for each in receipt.processes if is_alive(each.pid)]
    assert run.run_id not in command_lines()
    eventually(lambda: not spark_cluster.applications(), "the application is gone")


def test_a_run_outlives_the_loss_of_a_worker(
    monitor: Monitor, spark_cluster: SparkCluster
) -> None:
    target = attach(spark_cluster)
    run = started(WORKS, target=target)
    monitor.wait(lambda: "round 1 " in log_of(run), "it works", PATIENCE)
    spark_cluster.kill_worker()
    try:
        monitor.wait(lambda: "Lost executor" in log_of(run), "it is lost", PATIENCE)
        eventually(lambda: _sight_of(run, target), "the run says that it waits")
        assert _sight_of(run, target) == (
            f"Spark application {run.properties['TargetJobName']} waits for executors:"
            " no worker has the cores and the memory free."
        )
        assert run.is_active
        (job_folder(run) / "work/go").touch()
    finally:
        spark_cluster.start_worker()
    monitor.wait_for_end(run, PATIENCE)
    assert run.status == RunStatus.COMPLETED
    assert f" {sum(range(100))}\n" in log_of(run)
    assert launcher_of(target).look([run.run_id])[run.run_id].words == ""


def _sight_of(run: Run, target: ComputeTarget) -> str:
    sights.look(target)
    run.refresh_from_db()
    return run.sight


def test_the_example_finds_what_is_found_without_a_cluster(
    monitor: Monitor, spark_cluster: SparkCluster
) -> None:
    files = {path.name: path.read_bytes() for path in EXAMPLE.iterdir()}
    target = attach(spark_cluster)
    run = started(snapshot=factories.snapshot(files), target=target)
    monitor.wait_for_end(run, PATIENCE)
    assert run.status == RunStatus.COMPLETED, log_of(run)
    metrics = (mirror_folder(run.run_id) / "files/outputs/metrics.json").read_text()
    # By the nearest centroid of scikit-learn, or by this script without a cluster.
    assert json.loads(metrics) == {"accuracy": 412 / 450, "right": 412, "tests": 450}
    assert "91.56% of the test images were read correctly" in log_of(run)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"java_home": "/nowhere"}, "There is no Java in /nowhere. Install Java 17"),
        ({"spark_home": "/nowhere"}, "There is no Spark in /nowhere. Correct"),
    ],
)
def test_what_the_machine_lacks_is_told(
    spark_cluster: SparkCluster, changes: dict[str, str], error: str
) -> None:
    run = placed(SAYS_HELLO, target=attach(spark_cluster, **changes))
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert run.end_reason == EndReason.SUBMIT_FAILED
    assert run.error.startswith(error)


def test_a_configuration_that_spark_refuses_is_told(
    monitor: Monitor, spark_cluster: SparkCluster
) -> None:
    conf = {"spark.executor.memory": "plenty"}
    run = started(SAYS_HELLO, target=attach(spark_cluster), launch={"conf": conf})
    monitor.wait_for_end(run, PATIENCE)
    assert word_of(run).exit_code == 1
    execution.clean_run(run.pk)
    run.refresh_from_db()
    assert run.error.endswith("Spark says: Executor memory must be a positive number")


def test_a_master_that_is_away_is_told(without_master: "Alone") -> None:
    words = eventually(lambda: without_master.sight().words, "it says that it waits")
    assert words == "The driver can't reach the Spark master yet."
    eventually(
        lambda: without_master.host.state("alone")["state"] == "ended",
        "Spark has given up",
        timeout=100,
    )
    assert without_master.host.state("alone")["exit_code"] == 1
    assert without_master.sight().hint.startswith("The Spark master did not answer")
