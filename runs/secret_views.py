"""The pages of a person's secrets, whose values are never shown."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import (
    sensitive_post_parameters,
    sensitive_variables,
)
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from aml_portal.errors import UserError
from computes.hosts import LEAST_SECRET
from runs.models import NamedSecret
from runs.requests import PageRequest
from runs.secrets import keep_secret


class _UnseenTextarea(forms.Textarea):
    """Takes several lines, as keys have, and sends none of them back."""

    def format_value(self, value: Any) -> None:
        return None


class SecretForm(forms.Form):
    name = forms.CharField(
        max_length=127,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text="Such as hf-token. Runs refer to it by this name.",
    )
    value = forms.CharField(
        strip=False,
        widget=_UnseenTextarea(
            attrs={
                "class": "covered",
                "rows": 4,
                "spellcheck": "false",
                "autocomplete": "off",
            }
        ),
        help_text=f"At least {LEAST_SECRET} characters, on one line or several. It is"
        " kept encrypted, and not shown again.",
    )


@require_safe
def secrets(request: PageRequest) -> HttpResponse:
    kept = NamedSecret.objects.filter(owner=request.user)
    return render(request, "runs/secrets.html", {"secrets": kept})


@sensitive_variables("form")
@sensitive_post_parameters("value")
@require_http_methods(["GET", "POST"])
def new(request: PageRequest) -> HttpResponse:
    name = {"name": request.GET.get("name", "")}
    form = SecretForm(request.POST or None, initial=name)
    if request.method == "POST" and form.is_valid():
        try:
            kept = keep_secret(request.user, **form.cleaned_data)
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"The secret {kept} is kept.")
            return redirect("runs:secrets")
    return render(request, "runs/secret_form.html", {"form": form})


@require_POST
def remove(request: PageRequest, pk: int) -> HttpResponse:
    kept = get_object_or_404(NamedSecret, pk=pk, owner=request.user)
    kept.delete()
    messages.success(request, f"The secret {kept} is removed.")
    return redirect("runs:secrets")
