"""What the tests in a browser share."""

from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page

from tests.browser.visiting import Picture
from tests.services.portal import ROOT


@pytest.fixture
def picture(page: Page, request: pytest.FixtureRequest, tmp_path: Path) -> Picture:
    """Take a picture of what the page shows; with `--pictures` for docs/pictures."""
    kept = request.config.getoption("--pictures")
    folder = ROOT / "docs" / "pictures" if kept else tmp_path
    folder.mkdir(exist_ok=True)

    def take(name: str) -> None:
        # Off the button that was clicked last, which would look different.
        page.mouse.move(0, 0)
        page.screenshot(
            path=folder / f"{name}.png", animations="disabled", caret="initial"
        )

    return take


# htmx calls it an error that a page is left before an answer has come. What breaks is
# told besides, as htmx:sendError.
_LEFT = ("htmx:afterRequest", "htmx:sendAbort")


@pytest.fixture
def trouble(page: Page) -> list[str]:
    """What the browser complains of: errors of scripts, things that policy forbids."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_LEFT):
            said.append(f"{message.text} ({message.location['url']} on {page.url})")

    page.on("console", listen)
    return said
