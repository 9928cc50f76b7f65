"""The RQ jobs of runs; the work itself is in runs/execution.py and runs/sweep.py."""

import logging

from runs import execution, sweep

_log = logging.getLogger(__name__)


def start_run(run_pk: int) -> None:
    execution.start_run(run_pk)


def clean_run(run_pk: int) -> None:
    execution.clean_run(run_pk)


def sweep_snapshots() -> None:
    _log.info("The daily sweep:\n%s", sweep.sweep_snapshots())
