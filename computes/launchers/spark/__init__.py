"""Spark clusters as compute targets."""

from computes.kinds import Kind
from computes.launchers.spark.forms import SparkForm, SparkRunForm
from computes.launchers.spark.launcher import SparkLauncher, check_run

KIND = Kind(
    name="spark",
    label="Spark",
    summary="A cluster for PySpark scripts: standalone, YARN or Kubernetes. The drivers"
    " run on an attached machine that has Spark and Java.",
    launcher=SparkLauncher,
    form=SparkForm,
    run_form=SparkRunForm,
    check_run=check_run,
    framework="PySpark",
    picks_gpus=False,
    icon="sparkles",
)
