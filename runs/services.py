"""What people do with runs: submit, cancel, tag, archive and delete them."""

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from environments.builds import check_target
from environments.models import Environment
from runs import mirror
from runs.configuration import ScriptRunConfiguration
from runs.dispatch import dispatch
from runs.execution import submission_lease
from runs.git_facts import GitFacts
from runs.gpus import check_gpus
from runs.leases import is_held
from runs.models import Experiment, Run, RunQuerySet, RunTag, Snapshot
from runs.notices import announce_change, announce_changes
from runs.priority import Priority
from runs.secrets import check_secrets
from runs.snapshots import Manifest
from runs.status import CANCELABLE, TERMINAL, WITHOUT_JOB, EndReason, RunStatus
from runs.storage import read_manifest, store
from runs.transfers import Transfer

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class Submission:
    """All that a person says when submitting a run."""

    experiment: str
    snapshot: Snapshot
    configuration: ScriptRunConfiguration
    target: ComputeTarget
    environment: Environment
    display_name: str = ""
    priority: Priority = Priority.NORMAL
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: Run | None = None
    token: uuid.UUID = field(default_factory=uuid.uuid4)
    git: GitFacts = field(default_factory=GitFacts)
    # How much of the source had to be sent to the portal, if it was sent just now.
    transfer: Transfer | None = None


def keep_snapshot(manifest: Manifest, name: str) -> Snapshot:
    """Record a snapshot whose objects and manifest are in the store."""
    now = timezone.now()
    snapshot, _ = Snapshot.objects.update_or_create(
        id=manifest.identity,
        defaults={"used_at": now},
        create_defaults={
            "name": name[:255],
            "files": manifest.file_count,
            "bytes": manifest.total_bytes,
            "used_at": now,
        },
    )
    return snapshot


def create_experiment(*, name: str, owner: "User", description: str = "") -> Experiment:
    experiment = Experiment(name=name, owner=owner, description=description)
    try:
        experiment.full_clean()
        with transaction.atomic():
            experiment.save()
    except ValidationError as error:
        raise UserError(" ".join(error.messages)) from error
    except IntegrityError as error:
        # Somebody else was quicker, after it had been looked for.
        raise UserError("There is an experiment of this name: open that.") from error
    return experiment


def submit_run(*, owner: "User", submission: Submission) -> Run:
    """Make a run of `submission` and let it wait for its place.

    The same token again gives the same run: a double click submits once.
    """
    existing = _submitted(submission)
    if existing:
        return existing
    _check(owner, submission)
    if submission.priority > Priority.NORMAL and not owner.is_staff:
        raise UserError(
            "Only administrators submit with a high priority.", "Pick another one."
        )
    try:
        return _queue_run(owner, submission)
    except IntegrityError:
        # The other half of a double click was quicker, or somebody else has just made
        # the same new experiment.
        return _submitted(submission) or _queue_run(owner, submission)


def _submitted(submission: Submission) -> Run | None:
    return Run.objects.filter(submission_token=submission.token).first()


@transaction.atomic
def _queue_run(owner: "User", submission: Submission) -> Run:
    run = _create_run(owner, submission)
    run.move(RunStatus.QUEUED, turn=run.pk)
    # Robust: the run is in the database now, and the reconciler will find it there.
    transaction.on_commit(lambda: dispatch(submission.target), robust=True)
    return run


def _check(owner: "User", submission: Submission) -> None:
    configuration = submission.configuration
    configuration.check()
    for name, value in submission.tags.items():
        _check_tag(name, value)
    if submission.target.detached_at or submission.target.closed_at:
        raise UserError(
            f"The compute target {submission.target.name} is detached.",
            "Pick another one.",
        )
    check_target(submission.environment, submission.target)
    check_secrets(owner, configuration)
    check_gpus(submission.target, configuration.gpus)
    if submission.environment.archived_at:
        raise UserError(
            f"The environment {submission.environment} is archived.",
            "Pick another one.",
        )
    has_file = read_manifest(submission.snapshot).has_file
    if not has_file(configuration.script):
        raise UserError(
            f"The script “{configuration.script}” is not among the files of the"
            " snapshot.",
            "Pick one of its files.",
        )
    if check_run := submission.target.its_kind.check_run:
        check_run(configuration.script, configuration.launch, has_file)


def _create_run(owner: "User", submission: Submission) -> Run:
    # From here to the end of the transaction, no sweep removes it.
    if not Snapshot.objects.filter(pk=submission.snapshot.pk).touch():
        raise UserError("The snapshot is gone.", "Choose the source once more.")
    experiment = _experiment_of(owner, submission)
    framework = submission.target.its_kind.framework
    configuration = replace(submission.configuration, framework=framework)
    variables = configuration.environment_variables
    git = _git_of(submission).overridden(variables)
    run = Run.objects.create(
        # It names folders as well, and no name of a folder is longer than 255.
        run_id=f"{experiment.name[:200]}_{int(time.time())}_{secrets.token_hex(4)}",
        experiment=experiment,
        number=experiment.take_number(),
        display_name=submission.display_name.strip()[:255],
        owner=owner,
        parent=submission.parent,
        submission_token=submission.token,
        script_run_configuration=configuration.to_json(),
        script=configuration.script,
        snapshot=submission.snapshot,
        target=submission.target,
        environment=submission.environment,
        priority=submission.priority,
        gpus=submission.configuration.gpus,
        properties={
            "ContentSnapshotId": submission.snapshot.id,
            **git.properties(),
        },
        git_patch=_kept(git.patch),
    )
    RunTag.objects.bulk_create(
        RunTag(run=run, name=name.strip(), value=value)
        for name, value in submission.tags.items()
    )
    if submission.transfer:
        run.note(f"Source to portal: {submission.transfer}.")
    return run


def _git_of(submission: Submission) -> GitFacts:
    """A source that is taken again is what it was for the run that had it last."""
    if submission.transfer or submission.git != GitFacts():
        return submission.git
    runs = Run.objects.filter(snapshot=submission.snapshot)
    last = runs.order_by("-id").first()
    return GitFacts.recorded(last.properties, last.git_patch) if last else GitFacts()


def _kept(patch: str) -> str:
    """The patch, if it is still in the store: a form may be open for days."""
    return patch if patch and store().size(patch) is not None else ""


def _experiment_of(owner: "User", submission: Submission) -> Experiment:
    """The experiment that the submission names, which may be a new one."""
    named = Experiment.objects.filter(name=submission.experiment)
    try:
        return named.first() or create_experiment(
            name=submission.experiment, owner=owner
        )
    except UserError:
        # Made by somebody else in this moment, or no name for one at all.
        experiment = named.first()
        if experiment is None:
            raise
        return experiment


def cancel_run(run: Run, *, by: str) -> bool:
    """Ask for the end of a run; False if it was asked before or has ended.

    A run that waits is canceled at once. A job on a target is ended by its runner:
    the monitor passes the request on, however often it or the target was away.
    """
    if run.end(
        EndReason.CANCELED,
        detail=f"Canceled by {by} before it began.",
        only_from=WITHOUT_JOB,
        # It has nothing on its target.
        cleaned_at=timezone.now(),
    ):
        return True
    return run.move(
        RunStatus.CANCEL_REQUESTED,
        reason=f"Cancel requested by {by}.",
        cancel_requested_at=timezone.now(),
    )


def cancel_runs(runs: RunQuerySet, *, by: str) -> int:
    """Cancel those of `runs` that can be; the number that this changed."""
    return sum(cancel_run(run, by=by) for run in runs.filter(status__in=CANCELABLE))


def rename_run(run: Run, name: str) -> None:
    run.display_name = name.strip()[:255]
    run.save(update_fields=["display_name"])
    announce_change(run.run_id, "tags")


def tag_runs(runs: RunQuerySet, name: str, value: str = "") -> None:
    _check_tag(name, value)
    with transaction.atomic():
        tagged = _locked(runs)
        RunTag.objects.bulk_create(
            (RunTag(run_id=pk, name=name.strip(), value=value) for pk in tagged),
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["run", "name"],
            update_fields=["value"],
        )
    announce_changes(tagged.values(), "tags")


def untag_runs(runs: RunQuerySet, name: str) -> int:
    """Take the tag `name` away; the number of runs that had it."""
    with transaction.atomic():
        had = _locked(runs.filter(tags__name=name))
        RunTag.objects.filter(run__in=had, name=name).delete()
    announce_changes(had.values(), "tags")
    return len(had)


def _locked(runs: RunQuerySet) -> dict[int, str]:
    """The keys and ids of `runs`, which nobody else changes in this transaction."""
    found = Run.objects.filter(pk__in=runs.order_by().values("pk"))
    return dict(found.order_by().select_for_update().values_list("pk", "run_id"))


def _check_tag(name: str, value: str) -> None:
    if not name.strip():
        raise UserError("A tag needs a name.", "Write one, then its value.")
    if "\0" in name + value:
        raise UserError("A tag has no null characters.", "Leave them out.")
    if len(name) > 255:
        raise UserError("The name of a tag has at most 255 characters.", "Shorten it.")
    if len(value) > 1000:
        raise UserError(
            "The value of a tag has at most 1,000 characters.", "Shorten it."
        )


def archive_runs(runs: RunQuerySet) -> int:
    return runs.filter(archived_at=None).update(archived_at=timezone.now())


def restore_runs(runs: RunQuerySet) -> int:
    return runs.exclude(archived_at=None).update(archived_at=None)


@dataclass(kw_only=True)
class Deletion:
    """How many runs were deleted, left as active, or could not be, and why not."""

    deleted: int = 0
    active: int = 0
    failed: int = 0
    why: str = ""


def delete_runs(runs: RunQuerySet) -> Deletion:
    """Delete the runs that have ended; trouble with one keeps none of the others."""
    result = Deletion()
    # One by one, since there may be more than memory holds.
    for key in list(runs.values_list("pk", flat=True)):
        run = Run.objects.with_way().filter(pk=key).first()
        if run is None:
            continue
        try:
            if delete_run(run):
                result.deleted += 1
            else:
                result.active += 1
        except (UserError, OSError) as error:
            result.failed += 1
            result.why = result.why or str(error)
    return result


def delete_run(run: Run) -> bool:
    """Delete a run with its files; False while it is at work. Raises UserError.

    The snapshot stays, since other runs may have the same; if none has, and nobody
    submits it again, it is swept a day later.
    """
    if run.status not in TERMINAL:
        return False
    if run.is_left_there:
        raise UserError(
            f"The run was given up, and may still work on {run.target}.",
            "It can be deleted once that has answered.",
        )
    if run.cleaned_at is None or is_held(submission_lease(run.pk)):
        # A worker does that, which can wait for the target; whoever deletes can't.
        raise UserError("The run is still being cleared away.", _when_cleared(run))
    # The row goes first: a folder without a row is waste, a row without a folder a lie.
    with transaction.atomic():
        # Locked, or somebody might tag it after its tags were looked for.
        _locked(Run.objects.filter(pk=run.pk))
        run.delete()
        Snapshot.objects.filter(pk=run.snapshot_id).touch()
    mirror.remove(run.run_id)
    return True


def _when_cleared(run: Run) -> str:
    target = run.target
    if target.trouble:
        return f"That needs {target}, which is in trouble: {target.trouble}"
    return "Try again in a moment."
