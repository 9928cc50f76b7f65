"""The worker process."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Start and clean up runs, or fetch sources; `serve` starts these by itself."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("work", nargs="?", choices=["runs", "imports"])

    def handle(self, *args: Any, work: str | None, **options: Any) -> None:
        is_importer = work == "imports"
        queue = settings.IMPORTS_QUEUE if is_importer else settings.RUNS_QUEUE
        call_command("rqworker", queue)
