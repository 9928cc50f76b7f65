"""What is true for every answer of the portal: static files, headers, errors."""

import logging
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from django.test import RequestFactory
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings

from aml_portal.error_pages import server_error
from tests.services.portal import Portal


@pytest.fixture
def style(portal: Portal) -> str:
    """The address of a style sheet."""
    found = re.search(r'/static/[^"]+\.css', portal.client().get("/sign-in/").text)
    assert found
    return found[0]


def test_static_files_are_for_everybody_and_kept_for_ever(
    portal: Portal, style: str
) -> None:
    answer = portal.client().get(style)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_static_file_can_be_asked_for_in_part_or_again(
    portal: Portal, style: str
) -> None:
    client = portal.client()
    whole = client.get(style, headers={"Accept-Encoding": "identity"})
    part = client.get(
        style, headers={"Accept-Encoding": "identity", "Range": "bytes=2-5"}
    )
    assert part.status_code == 206
    assert part.content == whole.content[2:6]
    head = client.head(style, headers={"Accept-Encoding": "identity"})
    assert int(head.headers["Content-Length"]) == len(whole.content)
    assert not head.content
    unchanged = {"If-Modified-Since": whole.headers["Last-Modified"]}
    assert client.get(style, headers=unchanged).status_code == 304
    assert client.post(style).status_code == 405


@pytest.mark.parametrize(
    "path", ["/static/../secret_key", "/static/%2e%2e/secret_key", "/static/.sources/x"]
)
def test_nothing_else_of_the_data_folder_is_served(portal: Portal, path: str) -> None:
    assert portal.client().get(path).status_code == 404


def test_pages_allow_no_foreign_and_no_inline_code(portal: Portal) -> None:
    headers = portal.client().get("/sign-in/").headers
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers


def test_a_foreign_host_name_is_refused(portal: Portal) -> None:
    answer = portal.client().get("/sign-in/", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_a_form_without_its_token_is_refused(portal: Portal) -> None:
    client = portal.client()
    client.event_hooks = {}
    form = {"username": "admin", "password": "x"}
    assert client.post("/sign-in/", data=form).status_code == 403


def test_behind_a_proxy_that_speaks_tls(make_portal: Callable[..., Portal]) -> None:
    portal = make_portal(AML_PORTAL_URL="https://runs.example.org")
    assert portal.first_link.startswith("https://runs.example.org/first-sign-in/")
    page = f"http://127.0.0.1:{portal.env['AML_PORTAL_PORT']}/sign-in/"
    host = {"Host": "runs.example.org"}
    plain = httpx.get(page, headers=host, trust_env=False)
    assert plain.status_code == 301
    assert plain.headers["Location"] == "https://runs.example.org/sign-in/"
    proxied = {**host, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"}
    secure = httpx.get(page, headers=proxied, trust_env=False)
    assert secure.status_code == 200
    assert "Secure" in secure.headers["Set-Cookie"]


def test_only_a_known_proxy_is_believed(make_portal: Callable[..., Portal]) -> None:
    portal = make_portal(
        AML_PORTAL_URL="https://runs.example.org", AML_PORTAL_PROXIES="192.0.2.1"
    )
    page = f"http://127.0.0.1:{portal.env['AML_PORTAL_PORT']}/sign-in/"
    claimed = {"Host": "runs.example.org", "X-Forwarded-Proto": "https"}
    assert httpx.get(page, headers=claimed, trust_env=False).status_code == 301


def test_an_error_is_shown_by_an_id_that_the_log_has(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        page = server_error(rf.get("/broken/"))
    assert page.status_code == 500
    found = re.search(r"Error ([0-9a-f]{8}) at GET /broken/", caplog.text)
    assert found
    assert found[1] in page.content.decode()


def test_an_error_is_shown_even_without_its_template(
    rf: RequestFactory, settings: Settings, tmp_path: Path
) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    page = server_error(rf.get("/broken/"))
    assert page.status_code == 500
    assert "Something went wrong" in page.content.decode()


def test_a_page_says_why_htmx_got_no_part(portal: Portal, page: Page) -> None:
    client = portal.sign_in()
    page.context.add_cookies(
        [
            {"name": cookie.name, "value": cookie.value or "", "url": portal.url}
            for cookie in client.cookies.jar
        ]
    )
    with sqlite3.connect(portal.data / "db.sqlite3") as database:
        database.execute("UPDATE computes_computetarget SET detached_at = created_at")
    page.goto(portal.url)
    page.evaluate("htmx.ajax('POST', '/runs/new/example/')")
    expect(page.locator(".message-error")).to_have_text(
        "The example needs a compute target and an environment."
        " Attach the one and add the other first."
    )


def test_no_page_is_kept_by_a_browser(portal: Portal) -> None:
    """Who goes back after signing out must not see it, nor an old list."""
    client = portal.sign_in()
    for path in ("/", "/runs/", "/runs/new/", "/experiments/", "/environments/"):
        assert "no-store" in client.get(path).headers["Cache-Control"]
