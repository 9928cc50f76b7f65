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
from runs.git_credentials import confirm_key, keep_credential, keep_key
from runs.models import GitCredential, GitKey
from runs.requests import PageRequest

_HOST = forms.CharField(
    max_length=300, help_text="Such as git.example.org. It is used for this host only."
)


class CredentialForm(forms.Form):
    host = _HOST
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


class KeyForm(forms.Form):
    host = _HOST
    private_key = forms.CharField(
        max_length=20_000,
        widget=forms.Textarea(
            attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text="Best one made for the portal alone, whose public half the host lets"
        " read repositories. It is kept encrypted, and not shown again.",
    )
    passphrase = forms.CharField(
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Of the key, if it has one.",
    )


@require_safe
def credentials(request: PageRequest) -> HttpResponse:
    context = {
        "credentials": GitCredential.objects.filter(owner=request.user),
        "keys": GitKey.objects.filter(owner=request.user),
    }
    return render(request, "runs/git_credentials.html", context)


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
    context = {"form": form, "what": "a credential"}
    return render(request, "runs/git_credential_form.html", context)


@sensitive_variables("form")
@sensitive_post_parameters("private_key", "passphrase")
@require_http_methods(["GET", "POST"])
def new_key(request: PageRequest) -> HttpResponse:
    form = KeyForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            kept = keep_key(request.user, **form.cleaned_data)
        except UserError as error:
            # The key is not sent back to the page.
            form = KeyForm(initial={"host": form.cleaned_data["host"]})
            messages.error(request, str(error))
        else:
            messages.success(
                request, f"The key is kept. Now compare the fingerprint of {kept.host}."
            )
            return redirect("runs:git-credentials")
    context = {"form": form, "what": "an SSH key"}
    return render(request, "runs/git_credential_form.html", context)


@require_POST
def confirm(request: PageRequest, pk: int) -> HttpResponse:
    """Use a key from now on, for a host whose fingerprint was compared."""
    kept = get_object_or_404(GitKey, pk=pk, owner=request.user)
    if confirm_key(kept, request.POST.get("fingerprint", "")):
        messages.success(request, f"The key for {kept.host} is used from now on.")
    else:
        messages.error(request, "It was replaced meanwhile: compare once more.")
    return redirect("runs:git-credentials")


@require_POST
def remove(request: PageRequest, pk: int) -> HttpResponse:
    kept = get_object_or_404(GitCredential, pk=pk, owner=request.user)
    return _removed(request, kept)


@require_POST
def remove_key(request: PageRequest, pk: int) -> HttpResponse:
    kept = get_object_or_404(GitKey, pk=pk, owner=request.user)
    return _removed(request, kept)


def _removed(request: PageRequest, kept: GitCredential | GitKey) -> HttpResponse:
    kept.delete()
    messages.success(request, f"What was kept for {kept.host} is removed.")
    return redirect("runs:git-credentials")
