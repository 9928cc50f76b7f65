"""Runs, their snapshots, tags and timelines."""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone

from computes.models import ComputeTarget
from environments.models import Environment, Lock
from runs.configuration import ScriptRunConfiguration
from runs.experiment_models import Experiment
from runs.git_models import GitCredential, GitImport, GitKey
from runs.lease_models import Lease
from runs.notices import announce_change, announce_queue, announce_status
from runs.priority import Priority
from runs.secret_models import NamedSecret
from runs.status import (
    ACTIVE,
    END_STATUS,
    FOLLOWED,
    PLACED,
    TERMINAL,
    EndReason,
    RunStatus,
    sources,
)

# Some are of modules of their own; Django looks for models here.
__all__ = [
    "Experiment",
    "GitCredential",
    "GitImport",
    "GitKey",
    "Lease",
    "NamedSecret",
    "Run",
    "RunEvent",
    "RunQuerySet",
    "RunTag",
    "Snapshot",
]

# With these, the queue of a run's target is another: who is in it, or who is at work.
_CHANGES_QUEUE = (RunStatus.QUEUED, RunStatus.PREPARING, *TERMINAL)


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    def unused(self, *, before: datetime) -> "SnapshotQuerySet":
        """Those that no run has, and that nobody has used since `before`."""
        runs = Run.objects.filter(snapshot=OuterRef("pk"))
        return self.filter(~Exists(runs), used_at__lt=before)

    def touch(self) -> int:
        """Say that they are used now, so that no sweep removes them; how many."""
        return self.update(used_at=timezone.now())


class Snapshot(models.Model):
    """A source folder as it was submitted; equal folders are one snapshot.

    The files and their manifest are in the object store under `id`.
    """

    id = models.CharField(primary_key=True, max_length=64)
    name = models.CharField(max_length=255, blank=True)
    files = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    # When it was sent or submitted last, or a run that had it was deleted.
    used_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SnapshotQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id[:12]

    def get_absolute_url(self) -> str:
        return reverse("runs:snapshot-page", args=[self.id])

    @property
    def title(self) -> str:
        return f"Snapshot {self}"


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> "RunQuerySet":
        return self.filter(status__in=ACTIVE)

    def followed(self) -> "RunQuerySet":
        return self.filter(status__in=FOLLOWED)

    def left_there(self) -> "RunQuerySet":
        """Those that were given up, and may still be at work."""
        return self.filter(is_left_there=True)

    def placed(self) -> "RunQuerySet":
        return self.filter(status__in=PLACED)

    def on_machine(self, machine: ComputeTarget) -> "RunQuerySet":
        """Those of all targets on a machine."""
        return self.filter(models.Q(target=machine) | models.Q(target__machine=machine))

    def queued(self) -> "RunQuerySet":
        """Those that wait for a place, in the order in which they get one."""
        waiting = self.filter(status=RunStatus.QUEUED)
        return waiting.order_by("-priority", "turn", "id")

    def ahead_of(self, run: "Run") -> "RunQuerySet":
        """Those of its target that get a place before `run`, in the same order."""
        earlier = models.Q(turn__lt=run.turn) | models.Q(turn=run.turn, pk__lt=run.pk)
        same = models.Q(priority=run.priority) & earlier
        return self.queued().filter(
            models.Q(priority__gt=run.priority) | same, target_id=run.target_id
        )

    def named(self, text: str) -> "RunQuerySet":
        """Those with `text` in their own name or in that of their experiment."""
        return self.filter(
            models.Q(display_name__icontains=text)
            | models.Q(experiment__name__icontains=text)
        )

    def with_way(self) -> "RunQuerySet":
        """With their targets, and the machines that lead to these."""
        return self.select_related("target__jump", "target__machine__jump")

    def with_names(self) -> "RunQuerySet":
        """For lists: all that a row shows, in a fixed number of queries."""
        return self.select_related(
            "experiment", "target", "environment", "owner"
        ).prefetch_related("tags")


class Run(models.Model):
    """One submission of a script, and what became of it."""

    run_id = models.CharField(max_length=300, unique=True, editable=False)
    experiment = models.ForeignKey(
        Experiment, on_delete=models.PROTECT, related_name="runs"
    )
    number = models.PositiveIntegerField(editable=False)
    display_name = models.CharField(max_length=255, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs"
    )
    parent = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="children",
    )
    # A form that is sent twice carries the same token, and makes one run.
    submission_token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    script_run_configuration = models.JSONField()
    # The configuration's script once more, so that lists can search it.
    script = models.CharField(max_length=4096, editable=False)
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.PROTECT, related_name="runs"
    )
    target = models.ForeignKey(
        ComputeTarget, on_delete=models.PROTECT, related_name="runs"
    )
    environment = models.ForeignKey(
        Environment, on_delete=models.PROTECT, related_name="runs"
    )
    # What its packages came to; None before that is known, and where none were needed.
    lock = models.ForeignKey(
        Lock,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="runs",
    )
    properties = models.JSONField(default=dict, blank=True)
    # What was not committed of the source: the SHA-256 of an object in the store.
    git_patch = models.CharField(max_length=64, blank=True, editable=False)

    status = models.CharField(
        max_length=16, choices=RunStatus, default=RunStatus.NOT_STARTED, editable=False
    )
    end_reason = models.CharField(max_length=16, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    exit_code = models.IntegerField(null=True, editable=False)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL)
    # Its turn among those of one priority: its own key, unless it was moved.
    turn = models.BigIntegerField(default=0, editable=False)
    # The configuration's number of GPUs once more, for the queue; and those of the
    # machine that it was given with its place.
    gpus = models.PositiveSmallIntegerField(default=0, editable=False)
    gpu_indexes = models.JSONField(default=list, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    # Seconds from the start to the end of the script; kept so that lists sort by it.
    duration = models.FloatField(null=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    # When the job's folder was removed from the target, after all was mirrored.
    cleaned_at = models.DateTimeField(null=True, editable=False)

    # How often the submission was put into the queue; part of the RQ job's id.
    attempts = models.PositiveIntegerField(default=0, editable=False)
    # Given up while its target was away, which has not told its end so far.
    is_left_there = models.BooleanField(default=False, editable=False)
    # What the target needs to find the job again; None until it was started.
    handle = models.JSONField(null=True, editable=False)
    # What the target's launcher sees of the job, for people, such as why it waits.
    sight = models.TextField(blank=True, editable=False)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "number"], name="one_run_per_number"
            )
        ]
        indexes = [
            models.Index(fields=["status", "id"]),
            models.Index(
                fields=["target", "status", "-priority", "turn", "id"],
                name="runs_in_queue",
            ),
            models.Index(fields=["target", "ended_at"]),
            # The history: its sorts, and what its filters look at beside them, so
            # that a page is found in an index alone (see benchmarks/history.py).
            models.Index(fields=["archived_at", "status", "created_at"]),
            models.Index(
                fields=["archived_at", "duration", "id", "status", "created_at"]
            ),
            models.Index(fields=["archived_at", "owner", "id"]),
            models.Index(fields=["archived_at", "target", "id"]),
            models.Index(fields=["archived_at", "experiment", "id"]),
            models.Index(fields=["archived_at", "display_name", "id"]),
            models.Index(
                fields=[
                    *("archived_at", "id", "created_at", "status"),
                    *("run_id", "display_name", "script"),
                ],
                name="runs_by_text",
            ),
            models.Index(
                fields=["id"],
                name="runs_to_clean",
                condition=models.Q(cleaned_at=None, status__in=TERMINAL),
            ),
            models.Index(
                fields=["id"],
                name="runs_left_there",
                condition=models.Q(is_left_there=True),
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or f"{self.experiment.name} #{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("runs:detail", args=[self.run_id])

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def is_followed(self) -> bool:
        """Whether a job of it may be on its target."""
        return self.status in FOLLOWED or self.is_left_there

    @property
    def previous(self) -> "Run | None":
        """The run before this one in its experiment."""
        runs = Run.objects.select_related(
            "experiment", "snapshot", "environment", "lock"
        )
        before = runs.filter(experiment_id=self.experiment_id, id__lt=self.pk)
        return before.order_by("-id").first()

    @property
    def configuration(self) -> ScriptRunConfiguration:
        return ScriptRunConfiguration.from_json(self.script_run_configuration)

    def move(
        self,
        to: RunStatus,
        *,
        reason: str = "",
        time: datetime | None = None,
        only_from: Collection[RunStatus] | None = None,
        **fields: Any,
    ) -> bool:
        """Move to `to`, if the state in the database allows it, and say so.

        True only for the one caller that made the move: the conditional UPDATE lets
        two processes try the same and one succeed. `fields` are written with it, and
        `reason` goes to the timeline. `time` is when it happened, if that is not now.
        `only_from` narrows the states that the move may start from.
        """
        allowed = [s for s in sources(to) if only_from is None or s in only_from]
        with transaction.atomic():
            moved = Run.objects.filter(pk=self.pk, status__in=allowed).update(
                status=to, **fields
            )
            if not moved:
                return False
            event = self.events.create(
                status=to, detail=reason, time=time or timezone.now()
            )
            transaction.on_commit(lambda: announce_status(self.run_id, to, event.pk))
            if to in _CHANGES_QUEUE:
                transaction.on_commit(lambda: announce_queue(self.target_id))
        self.status = to
        for name, value in fields.items():
            setattr(self, name, value)
        return True

    def end(
        self,
        why: EndReason,
        *,
        detail: str = "",
        time: datetime | None = None,
        only_from: Collection[RunStatus] | None = None,
        exit_code: int | None = None,
        **fields: Any,
    ) -> bool:
        """Move to the final state that `why` means; True only for who made the move.

        `detail` is the sentence for the person; the reason's own where it is empty.
        """
        time = time or timezone.now()
        status = END_STATUS[why]
        sentence = detail or why.label
        return self.move(
            status,
            reason=sentence,
            time=time,
            only_from=only_from,
            end_reason=why,
            error="" if status == RunStatus.COMPLETED else sentence,
            exit_code=exit_code,
            ended_at=time,
            # Never below zero, should somebody have set the clock back.
            duration=max((time - self.started_at).total_seconds(), 0.0)
            if self.started_at
            else None,
            **fields,
        )

    def note(self, detail: str, *, time: datetime | None = None) -> None:
        """Add a line to the timeline that changes no state."""
        self.events.create(detail=detail, time=time or timezone.now())
        transaction.on_commit(lambda: announce_change(self.run_id, "notes"))


class RunTag(models.Model):
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=255)
    value = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["run", "name"], name="one_value_per_tag")
        ]
        # With the run, so that a filter reads nothing but the index.
        indexes = [models.Index(fields=["name", "value", "run"])]

    def __str__(self) -> str:
        return f"{self.name}={self.value}" if self.value else self.name


class RunEvent(models.Model):
    """A line of a run's timeline: a new state, or something worth knowing."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    time = models.DateTimeField()
    # Empty: the state did not change.
    status = models.CharField(max_length=16, choices=RunStatus, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.time:%H:%M:%S} {self.status} {self.detail}".strip()
