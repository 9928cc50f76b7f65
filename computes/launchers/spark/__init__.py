"""Spark clusters as compute targets."""

from computes.kinds import Kind
from computes.launchers.spark.forms import SparkForm, SparkRunForm
from computes.launchers.spark.launcher import SparkLauncher, check_run

KIND = Kind(
    name="spark",
    label="Spark",
    summary="A Spark cluster, standalone or on YARN or Kubernetes. The driver runs on a"
    " machine with Spark and Java, and is the run.",
    launcher=SparkLauncher,
    form=SparkForm,
    run_form=SparkRunForm,
    check_run=check_run,
    framework="PySpark",
    icon="sparkles",
)
