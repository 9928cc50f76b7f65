"""Runs on a real Spark cluster whose Python is built for them on the machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.test import override_settings

from environments.definition import Definition, SparkSection
from environments.services import save_environment
from runs.mirror import log_path
from runs.models import Run
from runs.status import RunStatus
from tests.environments.wheels import Wheels
from tests.services.monitor import Monitor, job_folder, started
from tests.services.spark import SPARK_HOME, SparkCluster
from tests.services.spark_targets import PATIENCE, attach

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis_server"),
    pytest.mark.timeout(240),
]
# Both in the driver and in the executors.
SHOW = """
import sys, tiny
from pyspark.sql import SparkSession

def version(_):
    import sys, tiny
    return tiny.VERSION, sys.prefix

spark = SparkSession.builder.getOrCreate()
(found,) = spark.sparkContext.parallelize([0], 1).map(version).collect()
print("executor", *found)
print("driver", tiny.VERSION, sys.prefix)
"""


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[Wheels]:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny", "1.5")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none", PYTHON_FIND_LINKS=[str(wheels.folder)]
    ):
        yield wheels


def log_of(run: Run) -> str:
    return log_path(run.run_id).read_text()


def told_by(run: Run) -> set[str]:
    lines = log_of(run).splitlines()
    return {line for line in lines if line.startswith(("driver ", "executor "))}


def test_spark_that_is_on_the_machine_runs_the_python_that_was_built(
    monitor: Monitor, spark_cluster: SparkCluster, wheels: Wheels
) -> None:
    target = attach(spark_cluster, spark_home=str(SPARK_HOME))
    definition = Definition.of_packages("tiny")
    needed = save_environment(name="tiny", definition=definition)
    run = started(SHOW, target=target, environment=needed)
    monitor.wait_for_end(run, PATIENCE)
    assert run.status == RunStatus.COMPLETED, log_of(run)
    prefix = job_folder(run).parent.parent / "environments" / needed.locks.get().key
    assert told_by(run) == {f"driver 1.5 {prefix}", f"executor 1.5 {prefix}"}


def test_spark_that_is_among_the_packages_is_the_one_that_is_used(
    monitor: Monitor, spark_cluster: SparkCluster, wheels: Wheels, tmp_path: Path
) -> None:
    # As pyspark is, but smaller: it hands on to the Spark of the tests.
    code = f"#!/bin/sh\nexport SPARK_HOME={SPARK_HOME}\necho built Spark\n"
    submit = f'{code}exec {SPARK_HOME}/bin/spark-submit "$@"\n'
    wheels.add("pyspark", "4.1", programs={"pyspark/bin/spark-submit": submit})
    target = attach(spark_cluster)
    definition = Definition.of_packages("tiny", "pyspark")
    needed = save_environment(name="sparky", definition=definition)
    run = started(SHOW, target=target, environment=needed)
    monitor.wait_for_end(run, PATIENCE)
    assert run.status == RunStatus.COMPLETED, log_of(run)
    assert "built Spark\n" in log_of(run)
    assert len(told_by(run)) == 2


def test_packages_of_spark_are_asked_of_it_unless_the_run_says_otherwise(
    monitor: Monitor, spark_cluster: SparkCluster
) -> None:
    spark = SparkSection(
        repositories=("https://repo.example.org",),
        packages=("org.example:tools:1.0", "org.example:more:2"),
    )
    definition = replace(Definition.user_managed(), spark=spark)
    needed = save_environment(name="jars", definition=definition)
    run = started(
        target=attach(spark_cluster),
        environment=needed,
        launch={"conf": {"spark.jars.repositories": "https://own.example.org"}},
    )
    conf = (job_folder(run) / "spark.conf").read_text().splitlines()
    assert "spark.jars.packages=org.example:tools:1.0,org.example:more:2" in conf
    assert "spark.jars.repositories=https://own.example.org" in conf
