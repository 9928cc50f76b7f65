"""Environments: the Python that a script runs with."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.functional import cached_property

from aml_portal.row_keys import key_in
from computes.models import ComputeTarget
from environments.definition import Definition, Kind

# The label that the newest version has by itself.
LATEST = "latest"

# A line of a lock: NAME==VERSION, or NAME @ ADDRESS.
_PACKAGE = re.compile(
    r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?(?:==([^\s;\\]+)| @ (\S+))", re.MULTILINE
)


def user_managed() -> dict[str, Any]:
    """The content that a new row has: the Python of the target, as it is."""
    return Definition.user_managed().to_json()


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    def usable(self) -> "EnvironmentQuerySet":
        return self.filter(archived_at=None)

    def newest(self) -> "EnvironmentQuerySet":
        """Of each name the newest version among the usable ones."""
        return self.usable()._without_newer(Environment.objects.usable())

    def archived(self) -> "EnvironmentQuerySet":
        """Of each name that is archived the newest version."""
        all_versions = Environment.objects.all()
        return self._without_newer(all_versions).exclude(archived_at=None)

    def _without_newer(self, among: "EnvironmentQuerySet") -> "EnvironmentQuerySet":
        newer = among.filter(name=OuterRef("name"), version__gt=OuterRef("version"))
        return self.filter(~Exists(newer))

    def offered(self, chosen: str = "") -> "EnvironmentQuerySet":
        """What a person picks from: newest and labelled versions, and the chosen one.

        People's own come first, then the curated ones.
        """
        newest = models.Q(pk__in=self.newest().values("pk"))
        labelled, this = models.Q(labels__isnull=False), models.Q(pk=key_in(chosen))
        found = self.usable().filter(newest | labelled | this).distinct()
        return found.order_by("is_curated", "name", "-version")


class Environment(models.Model):
    """A named, versioned environment, never changed once a run has used it."""

    name = models.CharField(
        max_length=255,
        validators=[
            RegexValidator(
                r"\A(?!(?i:AzureML|Microsoft))[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
                "Use letters, digits, dots, dashes and underscores; names that begin"
                " with AzureML or Microsoft are reserved for curated environments.",
            )
        ],
    )
    version = models.PositiveIntegerField(default=1)
    description = models.CharField(max_length=255, blank=True)
    # As environments/definition.py has it.
    content = models.JSONField(default=user_managed)
    # What is asked for, or what the interpreter said, where one is used as it is.
    python_version = models.CharField(max_length=64, blank=True)
    # It came with the portal: environments/curated.py.
    is_curated = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "version"], name="one_environment_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    def get_absolute_url(self) -> str:
        return reverse("environments:detail", args=[self.name, self.version])

    @property
    def definition(self) -> Definition:
        return Definition.from_json(self.content)

    @property
    def kind(self) -> Kind:
        return self.definition.kind

    @property
    def interpreter_path(self) -> str:
        return self.definition.python.interpreter_path

    @property
    def environment_variables(self) -> Mapping[str, str]:
        return self.definition.environment_variables

    def interpreter_on(self, target: ComputeTarget) -> str:
        """What runs scripts there; "python" is that of a folder that will be built."""
        if not self.definition.is_user_managed:
            return "python"
        return self.interpreter_path or target.python


class EnvironmentLabel(models.Model):
    """A word that one version of an environment has, such as "production"."""

    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="labels"
    )
    # The environment's own: of all versions of a name, one has the label.
    environment_name = models.CharField(max_length=255)
    label = models.CharField(max_length=64)

    class Meta:
        ordering = ["label"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment_name", "label"], name="one_version_per_label"
            )
        ]

    def __str__(self) -> str:
        return self.label


class Lock(models.Model):
    """What a version of an environment comes to on a platform: each package's version.

    Resolved once, so that a second run gets what the first one got.
    """

    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="locks"
    )
    # As uv names it, such as "x86_64-manylinux_2_28", or conda with what its packages
    # look at, such as "linux-64 glibc=2.36".
    platform = models.CharField(max_length=64)
    # The Python that it is for, such as "3.11".
    python = models.CharField(max_length=16)
    # A requirements file with versions and hashes.
    text = models.TextField(blank=True)
    # JSON: the packages of conda, as the indexes of their channels have them.
    conda = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "platform"], name="one_lock_per_platform"
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment} on {self.platform}"

    @cached_property
    def key(self) -> str:
        """Names what is built of it; equal ones are the same on the disk."""
        whole = json.dumps([self.platform, self.python, self.text, self.conda])
        return hashlib.sha256(whole.encode()).hexdigest()[:32]

    @cached_property
    def packages(self) -> dict[str, str]:
        """The version of each package by its name, that of Python first."""
        found = {"python": self.python}
        for record in json.loads(self.conda or "[]"):
            found[str(record["name"])] = str(record["version"])
        for name, version, address in _PACKAGE.findall(self.text):
            found[name] = version or address
        return found

    @property
    def package_count(self) -> int:
        return len(self.packages.keys() - {"python"})

    def as_requirements(self) -> str:
        """The packages of pip, as pip and uv can install them."""
        return f"# {self}, for Python {self.python}\n{self.text}"

    def as_explicit(self) -> str:
        """The packages of conda, as conda and its kin can install them."""
        records = json.loads(self.conda or "[]")
        lines = [f"{each['url']}#sha256:{each['sha256']}" for each in records]
        return "\n".join([f"# {self}", "@EXPLICIT", *lines, ""])


class Build(models.Model):
    """An environment as it is on a machine, or was: what its runs have told."""

    class State(models.TextChoices):
        BUILDING = "building", "is being built"
        READY = "ready", "ready"
        FAILED = "failed", "failed"
        # To make room for others; what it took to build is still known.
        REMOVED = "removed", "was removed"

    machine = models.ForeignKey(
        ComputeTarget, on_delete=models.CASCADE, related_name="builds"
    )
    key = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State)
    # How long the last build took, and how much it takes on the disk.
    seconds = models.FloatField(null=True)
    bytes = models.PositiveBigIntegerField(null=True)
    built_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["machine", "key"], name="one_build_per_machine"
            )
        ]

    def __str__(self) -> str:
        return f"{self.key[:12]} on {self.machine}"
