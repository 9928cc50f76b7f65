"""The portal's addresses."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("runs.urls")),
    path("environments/", include("environments.urls")),
    path("compute/", include("computes.urls")),
    path("", include("aml_portal.sign_in")),
    path("admin/", admin.site.urls),
]
handler500 = "aml_portal.error_pages.server_error"
