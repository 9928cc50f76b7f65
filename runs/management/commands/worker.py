"""The worker process."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Start and clean up runs; `serve` starts this one by itself."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("rqworker", settings.RUNS_QUEUE)
