"""The addresses of compute targets."""

from django.urls import path

from computes import views

app_name = "computes"
urlpatterns = [
    path("", views.target_list, name="list"),
    path("new/", views.attach, name="attach"),
    path("new/<slug:kind>/", views.attach_kind, name="attach-kind"),
    path("<str:name>/", views.detail, name="detail"),
    path("<str:name>/edit/", views.edit, name="edit"),
    path("<str:name>/host-key/", views.host_key, name="host-key"),
    path("<str:name>/check/", views.check, name="check"),
    path("<str:name>/checks/", views.checks, name="checks"),
]
