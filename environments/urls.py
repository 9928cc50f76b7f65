"""The addresses of environments."""

from django.urls import path

from environments import views

app_name = "environments"
urlpatterns = [
    path("", views.environment_list, name="list"),
    path("new/", views.new, name="new"),
    path("<int:pk>/archive/", views.archive, name="archive"),
]
