"""Prepare the data folder."""

from typing import Any

from django.core.management.base import BaseCommand

from aml_portal.prepare import prepare


class Command(BaseCommand):
    help = (
        "Bring database, static files and the first administrator up to date,"
        " as `serve` does by itself."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        prepare()
