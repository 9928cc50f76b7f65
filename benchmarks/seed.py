"""Fills the current database with runs that have ended."""

import random
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import User

from computes.models import ComputeTarget
from environments.models import Environment
from runs.configuration import ScriptRunConfiguration
from runs.models import Experiment, Run, RunEvent, RunTag, Snapshot
from runs.status import END_STATUS, EndReason

EXPERIMENTS, USERS = 50, 8
_BATCH = 2000


def seed(count: int) -> None:
    """Add `count` runs of 50 experiments and 8 people, the same each time."""
    rnd = random.Random(7)
    users = [
        User.objects.get_or_create(username=f"user-{number}")[0]
        for number in range(USERS)
    ]
    experiments = [
        Experiment.objects.get_or_create(
            name=f"experiment-{number}", defaults={"owner": rnd.choice(users)}
        )[0]
        for number in range(EXPERIMENTS)
    ]
    snapshot, _ = Snapshot.objects.get_or_create(
        id="0" * 64, defaults={"files": 1, "bytes": 1}
    )
    target = ComputeTarget.objects.get(pk=1)
    environment = Environment.objects.get(pk=1)
    configuration = ScriptRunConfiguration(
        script="train.py", arguments=("--learning-rate", "0.01")
    ).to_json()
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    there = Run.objects.count()
    for first in range(there, there + count, _BATCH):
        runs = [
            _run(number, rnd, users, experiments, begin)
            for number in range(first, min(first + _BATCH, there + count))
        ]
        for run in runs:
            run.target, run.environment, run.snapshot = target, environment, snapshot
            run.script_run_configuration = configuration
            run.script = "train.py"
        Run.objects.bulk_create(runs)
        RunEvent.objects.bulk_create(
            RunEvent(run=run, time=run.created_at, status=run.status) for run in runs
        )
        RunTag.objects.bulk_create(
            RunTag(run=run, name="model", value=rnd.choice(["cnn", "svm", "tree"]))
            for run in runs
            if rnd.random() < 0.5
        )


def _run(
    number: int,
    rnd: random.Random,
    users: list[User],
    experiments: list[Experiment],
    begin: datetime,
) -> Run:
    reason = rnd.choice(list(EndReason))
    created = begin + timedelta(minutes=5 * number)
    experiment = rnd.choice(experiments)
    duration = rnd.expovariate(1 / 600)
    return Run(
        run_id=f"{experiment.name}_{int(created.timestamp())}_{number:08x}",
        experiment=experiment,
        number=number + 1,
        display_name=rnd.choice(["", "", f"sweep {number % 997}", "baseline"]),
        owner=rnd.choice(users),
        status=END_STATUS[reason],
        end_reason=reason,
        exit_code=0,
        created_at=created,
        started_at=created,
        ended_at=created + timedelta(seconds=duration),
        duration=duration,
        cleaned_at=created,
    )
