"""Whether the curated environments can be made of what the package index has."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aml_portal.errors import UserError
from environments.checking import check_packages
from environments.curated import shipped
from environments.rules import check_definition

# A large set takes long with an empty cache.
_SECONDS = 300


class Command(BaseCommand):
    help = "Resolve the packages of each curated environment, and say what is wrong."

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for each in shipped():
            try:
                check_definition(each.definition)
                remark = check_packages(
                    each.definition, seconds=_SECONDS, may_build=True
                )
            except UserError as error:
                failed += 1
                remark = str(error)
            self.stdout.write(f"{each.name}:{each.version} {remark or 'resolves.'}")
        if failed:
            raise CommandError(f"{failed} of the curated environments can't be made.")
