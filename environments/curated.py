"""Environments that come with the portal: `environments/curated/*.yml`, one file each.

A file has a name that begins with AzureML-, the number of its version, a description,
and a definition with Azure's keys. Whoever changes a definition counts its version up:
a version that a run may have used never changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from django.db import transaction
from django.utils import timezone

from environments.definition import Definition
from environments.models import Environment

FOLDER = Path(__file__).with_name("curated")
PREFIX = "AzureML-"


@dataclass(frozen=True, kw_only=True)
class Curated:
    name: str
    version: int
    description: str
    definition: Definition


def shipped() -> Iterator[Curated]:
    for path in sorted(FOLDER.glob("*.yml")):
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield Curated(
            name=value["name"],
            version=value["version"],
            description=value["description"],
            definition=Definition.from_json(value),
        )


def load_curated() -> None:
    """Bring the rows up to date; quick when they are.

    Older versions stay usable, for runs to be repeated; a name that is shipped no
    longer is archived.
    """
    names = []
    with transaction.atomic():
        for each in shipped():
            names.append(each.name)
            Environment.objects.get_or_create(
                name=each.name,
                version=each.version,
                defaults={
                    "description": each.description,
                    "content": each.definition.to_json(),
                    "python_version": each.definition.python.conda_dependencies.python,
                    "is_curated": True,
                },
            )
        gone = Environment.objects.usable().filter(is_curated=True)
        gone.exclude(name__in=names).update(archived_at=timezone.now())
