"""The pages of a person's credentials for git; their secrets are never shown."""

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
from runs.git_credentials import keep_credential
from runs.models import GitCredential
from runs.requests import PageRequest


class CredentialForm(forms.Form):
    host = forms.CharField(
        max_length=300,
        help_text="Such as git.example.org. It is used for this host only.",
    )
    user_name = forms.CharField(
        max_length=255,
        help_text="With a token, most hosts take any name.",
    )
    secret = forms.CharField(
        label="Password or token",
        max_length=8000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="A token that may only read repositories is best. It is kept"
        " encrypted, and not shown again.",
    )


@require_safe
def credentials(request: PageRequest) -> HttpResponse:
    kept = GitCredential.objects.filter(owner=request.user).defer("secret")
    return render(request, "runs/git_credentials.html", {"credentials": kept})


@sensitive_variables("form")
@sensitive_post_parameters("secret")
@require_http_methods(["GET", "POST"])
def new(request: PageRequest) -> HttpResponse:
    form = CredentialForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            kept = keep_credential(request.user, **form.cleaned_data)
        except UserError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"The credential for {kept.host} is kept.")
            return redirect("runs:git-credentials")
    return render(request, "runs/git_credential_form.html", {"form": form})


@require_POST
def remove(request: PageRequest, pk: int) -> HttpResponse:
    kept = get_object_or_404(GitCredential, pk=pk, owner=request.user)
    kept.delete()
    messages.success(request, f"The credential for {kept.host} is removed.")
    return redirect("runs:git-credentials")
