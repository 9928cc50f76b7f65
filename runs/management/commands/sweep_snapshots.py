"""`manage.py sweep_snapshots`: make room, at any time."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aml_portal.errors import PortalError
from runs.sweep import sweep_snapshots


class Command(BaseCommand):
    help = (
        "Remove the snapshots that no run has had for a day. Files that nothing names"
        " are set aside; a sweep a day later removes them. Others may submit meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="change nothing, only say what would be",
        )

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        try:
            report = sweep_snapshots(dry_run=dry_run)
        except PortalError as error:
            raise CommandError(str(error)) from error
        if dry_run:
            self.stdout.write("Nothing was changed. A sweep would now report:")
        self.stdout.write(str(report))
