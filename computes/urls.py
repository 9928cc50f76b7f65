"""The addresses of compute targets."""

from django.urls import path

from computes import views

app_name = "computes"
urlpatterns = [
    path("", views.target_list, name="list"),
    path("<str:name>/", views.edit, name="edit"),
]
