"""A real browser, signed in to a portal that is measured."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.services.portal import Portal


@contextmanager
def signed_in_page(portal: Portal, client: httpx.Client) -> Iterator[Page]:
    """A page that has the session of `client`, in a browser with a profile on disk.

    As a person's has; without one, a browser compiles every script at every load.
    """
    with (
        tempfile.TemporaryDirectory(prefix="aml-bench-") as profile,
        sync_playwright() as playwright,
    ):
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            viewport={"width": 1280, "height": 900},
        )
        context.add_cookies(
            [
                {"name": cookie.name, "value": cookie.value or "", "url": portal.url}
                for cookie in client.cookies.jar
            ]
        )
        yield context.new_page()
        context.close()
