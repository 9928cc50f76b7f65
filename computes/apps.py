"""Registers the computes app."""

from django.apps import AppConfig


class ComputesConfig(AppConfig):
    name = "computes"
    default_auto_field = "django.db.models.BigAutoField"
