"""How Django starts the portal's own parts."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PortalConfig(AppConfig):
    name = "aml_portal"
    verbose_name = "AML Portal"

    def ready(self) -> None:
        from aml_portal import checks  # noqa: F401 - registers them


class PortalAdminConfig(AdminConfig):
    """The admin pages, entered through the portal's own sign-in page."""

    default_site = "aml_portal.admin_site.PortalAdminSite"
