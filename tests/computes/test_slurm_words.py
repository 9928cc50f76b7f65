"""What is asked of Slurm, and what it says: text to text, without a cluster."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aml_portal.errors import TargetError, UserError
from computes.hosts import Place, Ran, TargetAwayError
from computes.launchers.slurm.client import trouble
from computes.launchers.slurm.jobs import SlurmJob
from computes.launchers.slurm.request import Request
from computes.launchers.slurm.script import NO_FOLDER, NO_PYTHON, batch_script
from computes.launchers.slurm.settings import SlurmSettings, extra_options
from computes.launchers.slurm.times import Limits, seconds_of, time_options
from computes.launchers.slurm.words import node_state, why_it_waits
from computes.runner import RUNNER

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "it waits for resources (Resources)"),
        ("None", "it waits for its turn"),
        (
            "ReqNodeNotAvail, UnavailableNodes:n1",
            "down, drained or reserved (ReqNodeNotAvail, UnavailableNodes:n1)",
        ),
        ("QOSMaxJobsPerUserLimit", "a limit of its QOS is reached"),
        ("AssocGrpCpuLimit", "a limit of its account or user is reached"),
        ("BadConstraints", "no node can ever give what it asks for"),
        ("DependencyNeverSatisfied", "it will never begin"),
        ("launch failed requeued held", "is held (launch failed requeued held)"),
        ("SomethingNew", "Slurm's reason is SomethingNew"),
    ],
)
def test_why_a_job_waits_is_told(reason: str, words: str) -> None:
    assert words in why_it_waits(reason)


def job(state: str, **facts: Any) -> SlurmJob:
    known = {"number": "7", "reason": "None", "starts": None, "nodes": "n1"}
    more = {"limit": "1:00:00", "exit_code": 0, "portal": "", "name": "job"}
    more |= {"submitted": None}
    return SlurmJob(state=state, **{**known, **more, **facts})


@pytest.mark.parametrize(
    ("of", "hint"),
    [
        (job("OUT_OF_MEMORY"), "It took more memory than it had asked Slurm for."),
        (job("NODE_FAIL"), "A node of it failed: n1."),
        (job("TIMEOUT"), "It reached Slurm's time limit (1:00:00)."),
        (job("FAILED", exit_code=1), ""),
        (job("FAILED", exit_code=126), "Its batch script ended with exit code 126."),
        (job("FAILED", exit_code=82), "The node does not have the Python"),
        (job("FAILED", reason="JobLaunchFailure"), "Slurm could not start it on n1."),
        (job("COMPLETED"), ""),
    ],
)
def test_why_a_job_ended_is_told(of: SlurmJob, hint: str) -> None:
    sight = of.sight()
    assert sight.is_over
    assert sight.hint.startswith(hint)
    assert bool(sight.hint) is bool(hint)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (job("RUNNING"), "Running on n1."),
        (job("SUSPENDED", nodes=""), "Suspended by Slurm."),
        (
            job("PENDING", starts=4e9),
            "; the start is estimated for 02 Oct 2096, 07:06.",
        ),
        (job("NEW_STATE"), "Slurm's state is NEW_STATE on n1."),
    ],
)
def test_a_job_that_is_not_over_is_told(of: SlurmJob, words: str) -> None:
    assert of.sight().words.endswith(words)
    assert not of.sight().is_over


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("idle", "idle"),
        ("down*", "down (not answering)"),
        ("maint$", "maint (maintenance)"),
        ("idle~", "idle"),
    ],
)
def test_states_of_nodes_are_told(state: str, words: str) -> None:
    assert node_state(state) == words


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        ("30", 30 * 60),
        ("1:30", 90),
        ("2:00:05", 2 * HOUR + 5),
        ("1-12", DAY + 12 * HOUR),
        ("1-12:30", DAY + 12.5 * HOUR),
        ("0-0:0:7", 7),
        ("UNLIMITED", None),
        ("-5", None),
        ("1-", None),
        ("1:2:3:4", None),
    ],
)
def test_spans_of_time_are_read(span: str, seconds: float | None) -> None:
    assert seconds_of(span) == seconds


NONE, SHORT = Limits(), Limits(default=600, longest=HOUR)


@pytest.mark.parametrize(
    ("most", "asked", "partition", "options"),
    [
        (HOUR, "", NONE, ["--time=63", "--signal=B:TERM@60"]),
        # Never longer than the partition allows: Slurm would not begin it.
        (30 * DAY, "", SHORT, ["--time=60", "--signal=B:TERM@60"]),
        (30 * DAY, "2:00:00", SHORT, ["--time=2:00:00", "--signal=B:TERM@60"]),
        (None, "", SHORT, ["--signal=B:TERM@60"]),
        (None, "", NONE, ["--signal=B:TERM@60"]),
        # A warning that comes before the script could begin is none.
        (HOUR, "1", NONE, ["--time=1"]),
        (None, "", Limits(default=60), []),
    ],
)
def test_a_job_is_given_its_time(
    most: int | None, asked: str, partition: Limits, options: list[str]
) -> None:
    spec = {"max_duration_seconds": most, "grace_seconds": 30}
    assert time_options(spec, asked, partition) == options


@pytest.mark.parametrize(
    "line",
    [
        *("--wrap=rm", "--output=x", "--job-name=x", "--array=1-9", "--arr=1", "--w"),
        *("--signal=INT", "--chdir=/", "-p gpu", "gpu", "--X=1", "--out", "--uid=0"),
    ],
)
def test_options_that_would_break_the_portal_are_refused(line: str) -> None:
    with pytest.raises(UserError, match=r"option of sbatch|can't be given"):
        list(extra_options(f"--constraint=a100\n{line}"))


def test_other_options_come_before_those_of_the_run() -> None:
    extra = " --constraint=a b;$(x)\n\n--exclusive\n--mem=1G "
    settings = SlurmSettings(extra=extra, account="lab", qos="high", memory="2G")
    request = Request.of(settings, {"gpu_count": 2}, {"memory": "3G", "nodes": 2})
    assert request.options(settings) == [
        *("--constraint=a b;$(x)", "--exclusive", "--mem=1G", "--account=lab"),
        *("--qos=high", "--mem=3G", "--gres=gpu:2", "--nodes=2"),
        "--ntasks-per-node=1",
    ]


@pytest.mark.parametrize(
    ("code", "words", "kind", "told"),
    [
        (
            1,
            "sbatch: error: Unable to contact slurm controller (connect failure)",
            TargetAwayError,
            "Slurm can't be asked now: Unable to contact slurm controller",
        ),
        (1, "squeue: error: Munge encode failed", TargetAwayError, "asked now"),
        (-1, "timed out (env did not end)", TargetAwayError, "timed out"),
        (1, "sbatch: error: Invalid qos", TargetError, "Slurm says: Invalid qos."),
        (127, "env: 'sbatch': No such file", TargetError, "There is no sbatch"),
    ],
)
def test_a_complaint_is_told_apart(
    code: int, words: str, kind: type[TargetError], told: str
) -> None:
    error = trouble("sbatch", Ran(code=code, out=b"", err=words.encode()))
    assert type(error) is kind
    assert told in str(error)


def place(folder: Path, **changes: str) -> Place:
    facts = {"folder": str(folder), "runner": str(RUNNER.parent)}
    return Place(**{**facts, "python": sys.executable, **changes}, user=0, group=0)


def run_script(where: Place) -> int:
    script = batch_script(where).encode()
    return subprocess.run(["sh"], input=script, capture_output=True).returncode


def test_the_script_says_what_is_missing_on_its_node(tmp_path: Path) -> None:
    assert run_script(place(tmp_path / "none")) == NO_FOLDER
    assert run_script(place(tmp_path, runner="/none")) == NO_FOLDER
    assert run_script(place(tmp_path, python="/none")) == NO_PYTHON


def test_paths_reach_the_runner_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s $(touch x) a "folder"'
    folder.mkdir()
    assert run_script(place(folder)) == 1
    assert "There is no job.json in" in (folder / "runner.log").read_text()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
