"""Visit pages as somebody who is signed in already."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.services.portal import Portal

Picture = Callable[[str], None]


def sign_in(page: Page, portal: Portal) -> None:
    client = portal.sign_in()
    page.context.add_cookies(
        [
            {"name": cookie.name, "value": cookie.value or "", "url": portal.url}
            for cookie in client.cookies.jar
        ]
    )
