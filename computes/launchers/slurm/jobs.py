"""What squeue tells of the portal's jobs, as sights."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from computes.launchers import Sight
from computes.launchers.slurm.client import SlurmClient
from computes.launchers.slurm.script import NO_FOLDER, NO_PYTHON
from computes.launchers.slurm.words import OTHERS, OVER, why_it_waits

_SECONDS = re.compile(r"[0-9]{1,11}")
# Before the name of the portal's job in that of Slurm's.
PREFIX = "aml-"
# Before the id of the portal in the comment of Slurm's job.
COMMENT = "aml-portal:"
# Each with its separator; names come last, since they may have that in them.
_COLUMNS = (
    "JobID:|,State:|,exit_code:|,SubmitTime:|,StartTime:|,NodeList:|,TimeLimit:|,"
    "Comment:|,Reason:|,Name:"
)
_MISSING = {
    NO_FOLDER: "The node does not see the working folder of the machine: have the nodes"
    " and the machine share it, under the same path.",
    NO_PYTHON: "The node does not have the Python of the machine, under the same path.",
}
# As computes/runner/batch.py has them. When Slurm ends a job for another reason than
# its time, the state tells that.
_SCRIPT_FAILED, _WARNED = 1, 143
# What Slurm says of a job whose files or folder it could not open on the node.
_LAUNCH_FAILURE = "JobLaunchFailure"


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """A row of squeue; times are in Unix seconds, `portal` is that which sent it."""

    number: str
    state: str
    reason: str
    submitted: float | None
    starts: float | None
    nodes: str
    limit: str
    exit_code: int
    portal: str
    name: str

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def sight(self) -> Sight:
        return Sight(
            words=self._words(),
            is_over=self.is_over,
            hint=self._hint(),
            name=f"Slurm job {self.number}",
        )

    def _words(self) -> str:
        if self.state == "PENDING":
            return f"Pending: {why_it_waits(self.reason)}{self._start()}."
        if self.is_over:
            return f"For Slurm the job is over ({self.state})."
        words = OTHERS.get(self.state, f"Slurm's state is {self.state}")
        return f"{words} on {self.nodes}." if self.nodes else f"{words}."

    def _hint(self) -> str:
        """What explains a bad end, if it is not the script's own."""
        if self.state == "FAILED":
            return self._why_failed()
        if self.state == "RUNNING":
            # Asked when its runner is gone. Slurm notices that later, if at all.
            return f"For Slurm it runs on {self.nodes} still, which may have failed."
        details = {
            "TIMEOUT": f" ({self.limit})",
            "NODE_FAIL": f": {self.nodes}" if self.nodes else "",
        }
        why = OVER.get(self.state, "")
        return f"{why}{details.get(self.state, '')}." if why else ""

    def _why_failed(self) -> str:
        if self.reason == _LAUNCH_FAILURE:
            return f"Slurm could not start it on {self.nodes or 'its node'}."
        if self.exit_code == _WARNED:
            return f"Slurm's time limit ({self.limit}) was about to be reached."
        if self.exit_code == _SCRIPT_FAILED:
            return ""
        unknown = f"Its batch script ended with exit code {self.exit_code}."
        return _MISSING.get(self.exit_code, unknown)

    def _start(self) -> str:
        if self.starts is None:
            return ""
        start = timezone.localtime(datetime.fromtimestamp(self.starts, UTC))
        is_today = start.date() == timezone.localdate()
        shown = f"{start:%H:%M}" if is_today else f"{start:%d %b %Y, %H:%M}"
        return f"; the start is estimated for {shown}"


def jobs(client: SlurmClient) -> Mapping[str, SlurmJob]:
    """Those of the portal's account that Slurm still knows, by their folders' names.

    If there are several of a name, the latest.
    """
    options = ["--me", "--states=all", "--sort=i", f"--Format={_COLUMNS}"]
    found = (_job(row) for row in client.table("squeue", *options, columns=_COLUMNS))
    return {job.name: job for job in found if job.name}


def _job(row: list[str]) -> SlurmJob:
    number, state, code, submitted, starts, nodes, limit, comment, reason, name = row
    is_ours = name.startswith(PREFIX)
    return SlurmJob(
        number=number,
        state=state,
        exit_code=_exit_code(code),
        submitted=_seconds(submitted),
        starts=_seconds(starts),
        nodes=nodes,
        limit=limit,
        reason=reason,
        portal=comment.removeprefix(COMMENT) if comment.startswith(COMMENT) else "",
        name=name.removeprefix(PREFIX) if is_ours else "",
    )


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None


def _exit_code(text: str) -> int:
    """From "81:0", or as wait(2) tells it, by the version of Slurm."""
    code, colon, _ = text.partition(":")
    if not code.isdecimal():
        return 0
    return int(code) if colon else int(code) >> 8
