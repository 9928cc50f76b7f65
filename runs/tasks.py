"""The RQ jobs; the work itself is in execution.py and the others below."""

import logging

from runs import background, execution, git_imports, gpu_looks, sweep

_log = logging.getLogger(__name__)


def start_run(run_pk: int) -> None:
    if execution.start_run(run_pk):
        background.carry_out(execution.start_run_slowly, run_pk)


def clean_run(run_pk: int) -> None:
    execution.clean_run(run_pk)


def look_at_gpus(machine_pk: int) -> None:
    gpu_looks.look_at_gpus(machine_pk)


def import_repository(import_pk: int) -> None:
    git_imports.carry_out(import_pk)


def sweep_snapshots() -> None:
    _log.info("The daily sweep:\n%s", sweep.sweep_snapshots())
