"""What has to be done in the data folder before the portal's processes start."""

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from aml_portal.staticfiles import collect_static

ADMINISTRATOR = "admin"


def prepare() -> None:
    """Bring database and static files up to date; quick when they are."""
    if _has_new_migrations():
        call_command("migrate", interactive=False, verbosity=0)
    call_command("load_curated")
    if not settings.DEBUG:
        collect_static()
    if not User.objects.exists():
        # Without a password: the first sign-in is by link.
        User.objects.create_superuser(ADMINISTRATOR)


def unclaimed_administrator() -> User | None:
    """The administrator while nobody has chosen a password for the account."""
    for user in User.objects.filter(is_superuser=True, is_active=True):
        if user.has_usable_password():
            return None
    return User.objects.filter(username=ADMINISTRATOR).first()


def _has_new_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
