"""Links by which people choose a new password."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aml_portal.instance import Instance
from aml_portal.sign_in import sign_in_path


class Command(BaseCommand):
    help = "Print a link by which the user chooses a new password, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the user's name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active user {name!r}.")
        running = Instance(settings.DATA).state().get("address")
        default = f"http://{settings.PORTAL_HOST}:{settings.PORTAL_PORT}"
        address = settings.PORTAL_URL or running or default
        self.stdout.write(f"{address}{sign_in_path(user)}")
