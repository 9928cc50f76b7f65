"""The RQ jobs of runs; the work itself is in runs/execution.py."""

from runs import execution


def start_run(run_pk: int) -> None:
    execution.start_run(run_pk)


def clean_run(run_pk: int) -> None:
    execution.clean_run(run_pk)
