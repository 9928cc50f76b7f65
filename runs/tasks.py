"""The RQ jobs; the work itself is in runs/execution.py and runs/git_imports.py."""

from runs import execution, git_imports


def start_run(run_pk: int) -> None:
    execution.start_run(run_pk)


def clean_run(run_pk: int) -> None:
    execution.clean_run(run_pk)


def import_repository(import_pk: int) -> None:
    git_imports.carry_out(import_pk)
