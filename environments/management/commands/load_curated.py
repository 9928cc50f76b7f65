"""Bring the curated environments up to date."""

from typing import Any

from django.core.management.base import BaseCommand

from environments.curated import load_curated


class Command(BaseCommand):
    help = "Bring the curated environments up to date, as `prepare` does by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        load_curated()
