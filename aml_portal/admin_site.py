"""Django's admin pages as a part of the portal."""

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


class PortalAdminSite(AdminSite):
    """Has no sign-in page of its own, which would know no limit of attempts."""

    site_header = site_title = "AML Portal administration"
    index_title = "What the portal keeps"

    def login(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("Only an administrator can open these pages.")
        return redirect_to_login(request.GET.get("next", "/admin/"), settings.LOGIN_URL)
