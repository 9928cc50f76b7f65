"""Who gets in: links that work once, sign-in, sign-out, and closed doors."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django.fixtures import Settings
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from aml_portal.attempts import Attempts
from aml_portal.sign_in import sign_in_path
from tests.services.portal import PASSWORD, Portal
from tests.services.redis import RedisServer

OPEN_TO_ALL = {"sign-in", "sign-out", "first-sign-in"}
GOOD = {"new_password1": PASSWORD, "new_password2": PASSWORD}


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", password=PASSWORD)


@pytest.fixture
def signed_in(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def _patterns(patterns: list[Any]) -> Iterator[URLPattern]:
    for pattern in patterns:
        match pattern:
            case URLResolver():
                yield from _patterns(pattern.url_patterns)
            case URLPattern():
                yield pattern


def test_every_page_wants_a_signed_in_user() -> None:
    found = list(_patterns(get_resolver().url_patterns))
    without = {p.name for p in found if not getattr(p.callback, "login_required", True)}
    assert without == OPEN_TO_ALL
    assert len(found) > len(OPEN_TO_ALL)


@pytest.mark.parametrize("path", ["/", "/change-password/", "/admin/", "/no/such/page"])
def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, path: str) -> None:
    response = client.get(path)
    if path == "/no/such/page":
        assert response.status_code == 404
        return
    assert response.status_code == 302
    assert response["Location"].startswith(f"{reverse('sign-in')}?next={path}")


@pytest.mark.parametrize(
    "headers", [{"hx-request": "true"}, {"sec-fetch-dest": "empty"}]
)
def test_a_script_of_a_page_is_told_that_the_session_is_over(
    client: Client, headers: dict[str, str]
) -> None:
    response = client.get("/", headers=headers)
    assert response.status_code == 401
    assert response["HX-Refresh"] == "true"


def test_signing_in_leads_to_the_page_that_was_asked_for(
    client: Client, user: User
) -> None:
    form = {"username": "ada", "password": PASSWORD, "next": "/change-password/"}
    response = client.post(reverse("sign-in"), form)
    assert response["Location"] == "/change-password/"
    assert client.get("/change-password/").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example/x",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
    ],
)
def test_signing_in_leads_to_no_other_site(
    client: Client, user: User, target: str
) -> None:
    form = {"username": "ada", "password": PASSWORD, "next": target}
    response = client.post(f"{reverse('sign-in')}?next={target}", form)
    assert response["Location"] == reverse("home")


def test_a_wrong_password_is_answered_with_a_sentence(
    client: Client, user: User
) -> None:
    response = client.post(reverse("sign-in"), {"username": "ada", "password": "x"})
    assert response.status_code == 200
    assert "belong together" in response.content.decode()


def test_signing_out_ends_the_session_and_wants_a_post(signed_in: Client) -> None:
    assert signed_in.get(reverse("sign-out")).status_code == 405
    assert signed_in.post(reverse("sign-out"))["Location"] == reverse("sign-in")
    assert signed_in.get(reverse("change-password")).status_code == 302
    assert signed_in.post(reverse("sign-out")).status_code == 302


def test_a_new_password_ends_the_other_sessions(signed_in: Client, user: User) -> None:
    other = Client()
    other.force_login(user)
    form = {"old_password": PASSWORD, **dict.fromkeys(GOOD, "another good one")}
    assert signed_in.post(reverse("change-password"), form).status_code == 302
    assert signed_in.get(reverse("change-password")).status_code == 200
    assert other.get(reverse("change-password")).status_code == 302


@pytest.mark.django_db
def test_a_link_lets_choose_a_password_once(client: Client) -> None:
    admin = User.objects.create_superuser("admin")
    link = sign_in_path(admin)
    page = client.get(link, follow=True)
    assert page.status_code == 200
    assert client.post(page.redirect_chain[-1][0], GOOD)["Location"] == reverse("home")
    assert client.get(reverse("change-password")).status_code == 200

    second = Client()
    page = second.get(link, follow=True)
    assert "has been used or is too old" in page.content.decode()
    assert second.get(reverse("change-password")).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["short", "12345678901", "password123", "admin"])
def test_a_password_that_is_easily_guessed_is_refused(
    client: Client, password: str
) -> None:
    link = sign_in_path(User.objects.create_superuser("admin"))
    page = client.get(link, follow=True).redirect_chain[-1][0]
    assert client.post(page, dict.fromkeys(GOOD, password)).status_code == 200
    assert not User.objects.get().has_usable_password()


def test_a_made_up_link_is_refused(client: Client, user: User) -> None:
    path = re.sub("[^/]+/$", "abc-123/", sign_in_path(user))
    assert (
        "has been used or is too old" in client.get(path, follow=True).content.decode()
    )


@pytest.fixture
def counting(redis_server: RedisServer) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_guessing_is_stopped(client: Client, user: User, counting: None) -> None:
    for _ in range(Attempts.MAXIMUM):
        wrong = client.post(reverse("sign-in"), {"username": "ada", "password": "x"})
        assert wrong.status_code == 200
    right = {"username": "Ada", "password": PASSWORD}
    refused = client.post(reverse("sign-in"), right)
    assert refused.status_code == 429
    assert "Too many attempts to sign in. Wait 15 minutes." in refused.content.decode()
    elsewhere = client.post(
        reverse("sign-in"),
        {"username": "ada", "password": PASSWORD},
        REMOTE_ADDR="192.0.2.7",
    )
    assert elsewhere.status_code == 302


def test_the_right_password_ends_the_count(
    client: Client, user: User, counting: None
) -> None:
    for _ in range(2):
        for _ in range(Attempts.MAXIMUM - 1):
            client.post(reverse("sign-in"), {"username": "ada", "password": "x"})
        right = {"username": "ada", "password": PASSWORD}
        assert client.post(reverse("sign-in"), right).status_code == 302
        client.post(reverse("sign-out"))


def test_without_redis_one_can_still_sign_in(
    client: Client, user: User, settings: Settings
) -> None:
    away = {**settings.CACHES["default"], "LOCATION": "unix:///no/such/socket"}
    settings.CACHES = {"default": away}
    right = {"username": "ada", "password": PASSWORD}
    assert client.post(reverse("sign-in"), right).status_code == 302


def test_the_admin_pages_are_for_administrators(
    signed_in: Client, admin_client: Client
) -> None:
    assert signed_in.get("/admin/", follow=True).status_code == 403
    page = admin_client.get("/admin/")
    assert page.status_code == 200
    assert "unsafe" not in page["Content-Security-Policy"]
    assert "script-src 'self'" in page["Content-Security-Policy"]


def test_the_admin_pages_have_no_sign_in_page_of_their_own(client: Client) -> None:
    response = client.get("/admin/login/?next=/admin/")
    assert response["Location"].startswith(reverse("sign-in"))


def test_a_server_lets_the_first_administrator_in_once(portal: Portal) -> None:
    stranger = portal.client()
    assert stranger.get("/").url.path == "/sign-in/"
    assert portal.sign_in().get("/").url.path == "/"
    assert "used or is too old" in portal.client().get(portal.first_link).text
    again = portal.manage("sign_in_link", "admin").strip()
    assert again.startswith(portal.url)
    assert "used or is too old" not in portal.client().get(again).text


@pytest.mark.parametrize("path", ["/ws/runs/none_1_00000000/", "/ws/elsewhere/"])
def test_a_socket_wants_a_signed_in_user(portal: Portal, path: str) -> None:
    address, origin = portal.url.replace("http", "ws") + path, Origin(portal.url)
    with (
        pytest.raises((InvalidStatus, ConnectionClosedError)),
        connect(address, origin=origin, proxy=None) as socket,
    ):
        pytest.fail(f"The socket said {socket.recv()!r}.")
