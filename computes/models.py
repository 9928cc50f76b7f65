"""Compute targets: the machines and schedulers that runs are submitted to."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Coalesce
from django.urls import reverse

from aml_portal.errors import UserError
from aml_portal.vault import Secret, SecretField
from computes.gpus import Gpu, chosen, parse_choice
from computes.kinds import Kind, kinds
from computes.meters import Meter, meters_of
from computes.run_options import in_words
from computes.ssh_settings import SshSettings, fingerprint_of

# The kinds of machines; on these are the targets of all other kinds: see kinds.py.
LOCAL, SSH = "local", "ssh"


def check_gpu_choice(text: str) -> None:
    try:
        parse_choice(text)
    except UserError as error:
        raise ValidationError(str(error)) from error


class ComputeTargetQuerySet(models.QuerySet["ComputeTarget"]):
    def attached(self) -> "ComputeTargetQuerySet":
        return self.filter(detached_at=None)

    def reachable(self) -> "ComputeTargetQuerySet":
        """Those of which it is known who answers there."""
        return self.attached().exclude(
            models.Q(kind=SSH, host_key="")
            | models.Q(machine__kind=SSH, machine__host_key="")
        )

    def usable(self) -> "ComputeTargetQuerySet":
        """Those that runs can be submitted to."""
        return self.reachable().filter(closed_at=None, takes_runs=True)

    def with_way(self) -> "ComputeTargetQuerySet":
        """With the machines that lead to each."""
        return self.select_related("jump", "machine__jump")

    def by_machine(self) -> "ComputeTargetQuerySet":
        """Each machine, and then those that are on it."""
        of_machine = Coalesce("machine_id", "pk")
        machine_first = models.F("machine_id").asc(nulls_first=True)
        return self.order_by(of_machine, machine_first, "name")


class ComputeTarget(models.Model):
    """Somewhere a job can run; `local` exists from the first start."""

    class GpuPolicy(models.TextChoices):
        """What becomes of runs where others use GPUs without asking the portal."""

        WAIT = "wait", "Wait until nobody else uses them"
        SHARE = "share", "Take those with the most free memory"

    # Azure ML's rule for the names of compute targets.
    name = models.CharField(
        max_length=16,
        validators=[
            RegexValidator(
                r"\A[A-Za-z][A-Za-z0-9-]{1,15}\Z",
                "Use 2 to 16 letters, digits and dashes, beginning with a letter.",
            )
        ],
    )
    # One of computes/kinds.py.
    kind = models.CharField(max_length=16)
    # The machine on which it is; None for a machine itself.
    machine = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="targets"
    )
    description = models.CharField(max_length=255, blank=True)
    max_runs = models.PositiveIntegerField(
        "runs at a time", default=2, validators=[MinValueValidator(1)]
    )
    # Limits in seconds, each of them None unless somebody has set it: how long runs may
    # take there, how long they may be idle, and after how long they are given up that
    # were not heard from.
    longest_run = models.PositiveIntegerField(null=True, blank=True)
    idle_limit = models.PositiveIntegerField(null=True, blank=True)
    give_up_after = models.PositiveIntegerField(null=True, blank=True)
    # Whether runs can be submitted to it, or it is there for targets on it alone.
    takes_runs = models.BooleanField("takes runs itself", default=True)
    # What its kind needs to know: see ssh_settings.py, and the forms of the kinds.
    settings = models.JSONField(default=dict, blank=True)
    # Such as the password, the private key and its passphrase, as JSON.
    secrets = SecretField(null=True)  # type: ignore[misc]
    # Such as "ssh-ed25519 AAAA…"; empty until an administrator has pinned it.
    host_key = models.TextField(blank=True)
    # An attached machine on the way to this one.
    jump = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # From when on it takes no more runs; it is detached once none is active.
    closed_at = models.DateTimeField(null=True, blank=True)
    detached_at = models.DateTimeField(null=True, blank=True)
    # When it was last heard from; nobody can tell more than that.
    last_seen_at = models.DateTimeField(null=True, blank=True)
    # Why it can't be used now, in a sentence, and until when nothing is tried there.
    trouble = models.TextField(blank=True)
    leave_alone_until = models.DateTimeField(null=True, blank=True)
    # What the last check found, as computes/checks.py tells it.
    checks = models.JSONField(default=list, blank=True)
    # What the machine said of itself then: see computes/runner/facts.py.
    facts = models.JSONField(default=dict, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    # When what no run needs any more was last removed there.
    swept_at = models.DateTimeField(null=True, blank=True)
    check_asked_at = models.DateTimeField(null=True, blank=True)

    # Of a machine: the GPUs that runs may use, as parse_choice reads them.
    gpu_choice = models.CharField(
        "GPUs", max_length=255, blank=True, validators=[check_gpu_choice]
    )
    gpu_policy = models.CharField(
        "GPUs that others use",
        max_length=8,
        choices=GpuPolicy,
        default=GpuPolicy.WAIT,
    )
    # What computes/runner/gpus.py said last, and when; and when that was asked for.
    gpu_look = models.JSONField(default=dict, blank=True, editable=False)
    gpus_seen_at = models.DateTimeField(null=True, editable=False)
    gpus_asked_at = models.DateTimeField(null=True, editable=False)

    objects = ComputeTargetQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(detached_at=None),
                name="one_attached_target_per_name",
                violation_error_message="There is a target of this name: take another.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("computes:detail", args=[self.name])

    @property
    def ssh(self) -> SshSettings:
        return SshSettings.from_json(self.settings)

    def reveal_secrets(self) -> dict[str, str]:
        """What signs the portal in there, in the clear. Raises PortalError."""
        kept: Secret | None = self.secrets
        return {} if kept is None else dict(json.loads(kept.reveal()))

    def keep_secrets(self, secrets: Mapping[str, str]) -> None:
        kept = {name: value for name, value in secrets.items() if value}
        self.secrets = Secret.of(json.dumps(kept))

    @property
    def its_machine(self) -> "ComputeTarget":
        return self.machine or self

    @property
    def gpus(self) -> list[Gpu]:
        """Those of its machine that runs may use, as they were seen last."""
        machine = self.its_machine
        return chosen(machine.gpu_choice, machine.gpu_look)

    @property
    def its_kind(self) -> Kind:
        return kinds()[self.kind]

    def launch_of(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """What its launcher makes of what a run has chosen, with its own settings."""
        form = self.its_kind.run_form
        return form.filled(chosen, self.settings) if form else {}

    def launch_in_words(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The same for people, by the labels of the submit page."""
        form = self.its_kind.run_form
        return in_words(form.base_fields, self.launch_of(chosen)) if form else {}

    @property
    def kind_label(self) -> str:
        return self.its_kind.label

    @property
    def python(self) -> str:
        """What runs the scripts for which no interpreter is named."""
        if self.kind == LOCAL:
            return sys.executable
        if self.machine and not self.settings.get("python"):
            return self.machine.python
        return str(self.settings.get("python") or self.ssh.python)

    def limited(self, seconds: int | None) -> int | None:
        """How long a run may take that was given so many seconds; None: for ever."""
        limits = [each for each in (seconds, self.longest_run) if each is not None]
        return min(limits, default=None)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        if self.machine:
            return f"on {self.machine}"
        return str(self.ssh) if self.kind == SSH else ""

    @property
    def known_settings(self) -> dict[str, str]:
        """What its form asked for, by the labels there; no secrets."""
        form = self.its_kind.form
        return in_words(form.base_fields, self.settings) if form else {}

    @property
    def main_settings(self) -> dict[str, Any]:
        """Those that tell at a glance what it is: one line each."""
        form = self.its_kind.form
        fields = form.base_fields if form else {}
        first = {name: fields[name] for name in fields if name in form.foremost}
        spelled = in_words(first, self.settings)
        return {key: text for key, text in spelled.items() if "\n" not in str(text)}

    @property
    def meters(self) -> list[Meter]:
        """How full the machine is; none before it was checked."""
        return meters_of(self.facts, self.gpus) if self.facts else []

    @property
    def fingerprint(self) -> str:
        """Of the pinned host key, as ssh-keygen shows it."""
        return fingerprint_of(self.host_key) if self.host_key else ""

    @property
    def is_trusted(self) -> bool:
        """Whether it is known who answers there."""
        machine = self.its_machine
        return machine.kind != SSH or bool(machine.host_key)

    @property
    def is_being_checked(self) -> bool:
        asked, done = self.check_asked_at, self.checked_at
        return asked is not None and (done is None or done < asked)
