"""Signing in and out: every page wants a signed-in user but the ones named here."""

from typing import Any

from channels.db import database_sync_to_async
from django.contrib import messages
from django.contrib.auth import get_user
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import (
    LoginView,
    LogoutView,
    PasswordChangeView,
    PasswordResetConfirmView,
)
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path, reverse, reverse_lazy
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from aml_portal.attempts import Attempts
from aml_portal.error_pages import is_by_script


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Sends strangers to the sign-in page, unless it is a script that asks.

    A fragment or data that a page's script fetches can't become a sign-in form; htmx
    reloads the whole page then, which does.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """No page outlasts the session in a browser's memory, or gets old there."""
        if not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        return response

    def get_login_url(self, view_func: Any) -> str:
        """One page for all; the admin pages would name one of their own."""
        return reverse("sign-in")

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Any
    ) -> HttpResponseBase:
        if is_by_script(request):
            return HttpResponse(
                "You are signed out: sign in and try again.",
                status=401,
                content_type="text/plain; charset=utf-8",
                headers={"HX-Refresh": "true"},
            )
        return super().handle_no_permission(request, view_func)


class SignInForm(AuthenticationForm):
    """Name and password, with a limit to guessing."""

    error_messages = {
        "invalid_login": (
            "This user name and password don't belong together: check both."
        ),
        "inactive": "This account is switched off: ask an administrator.",
        "too_many": "Too many attempts to sign in. Wait %(minutes)d minutes.",
    }

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        address = self.request.META.get("REMOTE_ADDR", "")
        attempts = Attempts(self.cleaned_data.get("username", ""), address)
        if not attempts.take():
            raise ValidationError(
                self.error_messages["too_many"],
                code="too_many",
                params={"minutes": attempts.MINUTES},
            )
        cleaned: dict[str, Any] = super().clean()
        attempts.forget()
        return cleaned


class SignInView(LoginView):
    template_name = "registration/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if form.has_error("__all__", "too_many"):
            response.status_code = 429
        return response


@method_decorator(login_not_required, name="dispatch")
class SignOutView(LogoutView):
    """Signing out twice is no reason to be asked to sign in first."""


class FirstSignInView(PasswordResetConfirmView):
    """Lets whoever has the link choose a password, which makes the link invalid."""

    template_name = "registration/first_sign_in.html"
    reset_url_token = "choose-password"  # noqa: S105 - a part of the address
    post_reset_login = True
    success_url = reverse_lazy("home")


class ChangePasswordView(PasswordChangeView):
    template_name = "registration/change_password.html"
    success_url = reverse_lazy("home")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)


@database_sync_to_async
def is_signed_in(session_key: str | None) -> bool:
    """Whether the session still is that of an active user with that password."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    return get_user(request).is_authenticated


def sign_in_path(user: User) -> str:
    """A new link for `user` to choose a password and be signed in."""
    key = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    return reverse("first-sign-in", args=[key, token])


urlpatterns = [
    path("sign-in/", SignInView.as_view(), name="sign-in"),
    path("sign-out/", SignOutView.as_view(), name="sign-out"),
    path(
        "first-sign-in/<uidb64>/<token>/",
        FirstSignInView.as_view(),
        name="first-sign-in",
    ),
    path("change-password/", ChangePasswordView.as_view(), name="change-password"),
]
