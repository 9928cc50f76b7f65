"""The RQ jobs; the work itself is in execution.py, git_imports.py and sweep.py."""

import logging

from runs import execution, git_imports, sweep

_log = logging.getLogger(__name__)


def start_run(run_pk: int) -> None:
    execution.start_run(run_pk)


def clean_run(run_pk: int) -> None:
    execution.clean_run(run_pk)


def import_repository(import_pk: int) -> None:
    git_imports.carry_out(import_pk)


def sweep_snapshots() -> None:
    _log.info("The daily sweep:\n%s", sweep.sweep_snapshots())
