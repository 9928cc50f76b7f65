"""Has an environment built before a run needs it: by a run, as Azure ML does.

So log, timeline, cancel and the next try are those of any run.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from computes.models import ComputeTarget
from environments.models import Environment
from runs.configuration import ScriptRunConfiguration
from runs.models import Run
from runs.services import Submission, keep_snapshot, submit_run
from runs.snapshots import read_folder
from runs.storage import limits, store

if TYPE_CHECKING:
    from django.contrib.auth.models import User

EXPERIMENT = "prepare_image"
_SOURCE = Path(__file__).with_name(EXPERIMENT)


def build_ahead(
    environment: Environment, target: ComputeTarget, *, owner: "User"
) -> Run:
    """The run that has it built, and then tells what is in it. Raises UserError."""
    source = read_folder(_SOURCE, store(), limits())
    submission = Submission(
        experiment=EXPERIMENT,
        snapshot=keep_snapshot(source.manifest, EXPERIMENT),
        configuration=ScriptRunConfiguration(script=f"{EXPERIMENT}.py"),
        target=target,
        environment=environment,
        display_name=f"{environment} on {target}",
    )
    return submit_run(owner=owner, submission=submission)
