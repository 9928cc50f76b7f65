"""Slurm's programs on a host, and what their complaints mean."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from aml_portal.errors import TargetError
from computes.hosts import Host, Ran, TargetAwayError
from computes.launchers.slurm.settings import SlurmSettings

# Longer than the programs try to reach a controller that does not answer.
SECONDS = 30.0
_NOT_FOUND = 127
# What they say when they could not ask, or the controller could not answer now.
_AWAY = (
    "unable to contact slurm controller",
    "connect failure",
    "connection refused",
    "timed out",
    "zero bytes were transmitted",
    "standby mode",
    "message receive failure",
    "message send failure",
    "temporarily unable to accept job",
    "resource temporarily unavailable",
    "authentication",
    "munge",
)
# Before each of their sentences.
_WHO = re.compile(r"(?:sbatch|squeue|scancel|sinfo): (?:error: |fatal: )?")


class SlurmClient:
    """Asks the controller, as the account that the portal has on the host."""

    def __init__(self, host: Host, settings: SlurmSettings) -> None:
        self._host = host
        self._settings = settings

    def command(self, program: str, *options: str) -> list[str]:
        """A command line for the program; squeue then tells times in Unix seconds."""
        # Not for sbatch: the job would inherit it.
        variables = ["SLURM_TIME_FORMAT=%s"] if program == "squeue" else []
        if self._settings.conf:
            variables.append(f"SLURM_CONF={self._settings.conf}")
        return ["env", *variables, self.path(program), *options]

    def path(self, program: str) -> str:
        return str(PurePosixPath(self._settings.programs, program))

    def ask(self, program: str, *options: str) -> str:
        """What the program prints. Raises TargetError, TargetAwayError."""
        try:
            ran = self._host.run(self.command(program, *options), seconds=SECONDS)
        except TargetAwayError:
            raise
        except TargetError as error:
            # There always is the program that starts this one.
            raise TargetAwayError(
                f"Slurm's {program} did not answer within {SECONDS:.0f} seconds."
            ) from error
        if ran.code != 0:
            raise trouble(program, ran)
        return ran.out.decode(errors="replace")

    def table(self, program: str, *options: str, columns: str) -> Iterator[list[str]]:
        """The rows that the program prints with these columns, such as "%P|%T".

        Only the last may have the separator in it.
        """
        most = columns.count("|")
        for line in self.ask(program, "--noheader", *options).splitlines():
            row = [cell.strip() for cell in line.split("|", most)]
            if len(row) == most + 1:
                yield row


def trouble(program: str, ran: Ran) -> TargetError:
    """The error that a complaint of a program is."""
    words = _plain(ran.complaint)
    if ran.code == _NOT_FOUND and ran.complaint.startswith("env:"):
        return TargetError(
            f"There is no {program} on the machine.",
            "Give the folder of Slurm's programs in the target's settings.",
        )
    if any(sign in words.lower() for sign in _AWAY):
        return TargetAwayError(f"Slurm can't be asked now: {words}.")
    return TargetError(f"Slurm says: {words}.")


def _plain(complaint: str) -> str:
    sentences = (each.strip(" .") for each in _WHO.split(complaint))
    return "; ".join(filter(None, sentences))
