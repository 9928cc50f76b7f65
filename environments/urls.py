"""The addresses of environments."""

from django.urls import include, path

from environments import form_views, views

app_name = "environments"
_version = [
    path("", views.detail, name="detail"),
    path("compare/", views.compare_versions, name="compare"),
    path("export/<str:key>/", views.export, name="export"),
    path("describe/", views.describe, name="describe"),
    path("label/", views.label, name="label"),
    path("archive/", views.archive, name="archive"),
    path("restore/", views.restore, name="restore"),
]
urlpatterns = [
    path("", views.environment_list, name="list"),
    path("new/", form_views.new, name="new"),
    path("new/text/", form_views.new_text, name="new-text"),
    path("new/import/", form_views.new_import, name="new-import"),
    path("<str:name>/<int:version>/", include(_version)),
]
