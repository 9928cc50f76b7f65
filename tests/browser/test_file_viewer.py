"""Files in a browser: lines to link to, and notebooks of which nothing runs."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.browser.visiting import sign_in
from tests.runs.notebook import SCRIPT, realistic
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit, upload

_CODE = (
    "\n".join(f"value_{number} = {number}  # <b>" for number in range(1, 301)) + "\n"
)
_MANY = "x = 1\n" * 20_000


@pytest.fixture(scope="module")
def run(portal: Portal) -> SubmittedRun:
    client = portal.sign_in()
    files: dict[str, str | bytes] = {
        "train.py": "print(1)\n",
        "src/code.py": _CODE,
        "src/many.py": _MANY,
        "README.md": "# Title\n\n**bold**\n",
        "explore.ipynb": realistic(),
        "page.html": SCRIPT,
    }
    run = submit(portal, client, snapshot=upload(client, files))
    assert run.wait_for_end() == "Completed"
    return run


@pytest.fixture
def asked(page: Page, portal: Portal) -> Iterator[list[Request]]:
    """Sign the page in; all that it asks for. Its browser must complain of nothing."""
    sign_in(page, portal)
    said: list[str] = []
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type == "error" else None,
    )
    yield requests
    assert not said


def address_of(run: SubmittedRun, file: str) -> str:
    return f"{run.portal.url}/runs/{run.run_id}/?tab=snapshot&file={file}"


def row(page: Page, number: int) -> Locator:
    return page.locator(f"code-view span:has(> [data-n='{number}'])")


def number_of(page: Page, number: int) -> Locator:
    return page.locator(f"code-view [data-n='{number}']")


def linked(page: Page) -> list[str]:
    found: list[str] = page.locator("code-view [aria-current] > a").evaluate_all(
        "links => links.map((link) => link.dataset.n)"
    )
    return found


@pytest.mark.usefixtures("asked")
def test_a_line_is_linked_by_its_number(run: SubmittedRun, page: Page) -> None:
    page.goto(address_of(run, "README.md"))
    page.get_by_role("link", name=re.compile("code.py")).click()
    expect(row(page, 3)).to_have_text("value_3 = 3  # <b>\n")
    expect(row(page, 3).locator(".hl-comment")).to_have_text("# <b>")
    number_of(page, 3).click()
    expect(page).to_have_url(address_of(run, "src/code.py") + "&line=3")
    number_of(page, 6).click(modifiers=["Shift"])
    expect(page).to_have_url(address_of(run, "src/code.py") + "&line=3-6")
    assert linked(page) == ["3", "4", "5", "6"]
    page.reload()
    assert linked(page) == ["3", "4", "5", "6"]
    page.get_by_role("link", name=re.compile("README.md")).click()
    expect(page).to_have_url(address_of(run, "README.md"))


@pytest.mark.usefixtures("asked")
def test_a_linked_line_is_in_sight_on_both_pages(run: SubmittedRun, page: Page) -> None:
    page.goto(address_of(run, "src/many.py") + "&line=15000")
    expect(row(page, 15_000)).to_be_in_viewport()
    page.locator(".snapshot-line a").click()
    page.goto(page.url + "?file=src/many.py&line=19999-20000")
    expect(row(page, 20_000)).to_be_in_viewport()


@pytest.mark.usefixtures("asked")
def test_the_keyboard_goes_from_number_to_number(run: SubmittedRun, page: Page) -> None:
    page.goto(address_of(run, "src/code.py"))
    page.locator("code-view").focus()
    page.keyboard.press("Tab")
    expect(number_of(page, 1)).to_be_focused()
    for key, number in (("ArrowDown", 2), ("End", 300), ("ArrowDown", 300)):
        page.keyboard.press(key)
        expect(number_of(page, number)).to_be_focused()
    expect(row(page, 300)).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("&line=300$"))
    page.keyboard.press("Tab")
    assert not page.evaluate(
        "document.querySelector('code-view').contains(document.activeElement)"
    )


def test_a_line_is_linked_without_scripts(
    run: SubmittedRun, portal: Portal, browser: Browser
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, portal)
        page.goto(address_of(run, "src/code.py") + "&line=250")
        expect(row(page, 250)).to_be_in_viewport()
        expect(row(page, 250)).to_have_attribute("aria-current", "true")
        number_of(page, 253).click()
        assert urlsplit(page.url).fragment == "snapshot-253"
        marked, shared = row(page, 250), page.url
        colour = str(marked.evaluate("row => getComputedStyle(row).backgroundColor"))
        expect(row(page, 253)).to_have_css("background-color", colour)
    with browser.new_context() as context:
        page = context.new_page()
        sign_in(page, portal)
        page.goto(shared.replace("&line=250", ""))
        expect(page).to_have_url(address_of(run, "src/code.py") + "&line=253")
        expect(row(page, 253)).to_be_in_viewport()


@pytest.mark.usefixtures("asked")
def test_a_file_is_copied_as_it_is(run: SubmittedRun, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(address_of(run, "src/code.py"))
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == _CODE


@pytest.mark.usefixtures("asked")
def test_markdown_is_rendered_or_shown_as_its_source(
    run: SubmittedRun, page: Page
) -> None:
    page.goto(address_of(run, "README.md"))
    expect(page.get_by_role("heading", name="Title")).to_be_visible()
    page.get_by_role("link", name="Source", exact=True).click()
    expect(row(page, 1)).to_have_text("# Title\n")
    expect(page).to_have_url(address_of(run, "README.md") + "&view=source")
    page.reload()
    expect(row(page, 1)).to_have_text("# Title\n")
    page.get_by_role("link", name="Rendered").click()
    expect(page.get_by_role("heading", name="Title")).to_be_visible()
    expect(page).to_have_url(address_of(run, "README.md"))


def test_nothing_in_a_notebook_runs_or_asks(
    run: SubmittedRun, page: Page, asked: list[Request]
) -> None:
    page.goto(address_of(run, "explore.ipynb"))
    shown = page.locator(".notebook")
    expect(shown.get_by_role("heading", name="Training")).to_be_visible()
    expect(shown.locator(".hl-keyword").first).to_have_text(re.compile("import"))
    frame = shown.locator("html-view").first
    expect(frame.get_by_role("cell", name="0.693147")).to_be_visible()
    expect(shown.locator("html-view").last).to_have_text("Widget(value=3)")
    expect(shown.locator(".output-stdout .log-fg-2")).to_have_text("done")
    expect(shown.locator(".output-stderr pre")).to_have_text(
        re.compile(r"^UserWarning.*\n100%.*100/100$")
    )
    expect(shown.locator(".output-error .log-fg-1").first).to_be_visible()
    picture = shown.get_by_alt_text("<Figure size 320x160 with 1 Axes>")
    assert picture.evaluate("picture => picture.naturalWidth") == 320
    expect(shown.locator("script, style, iframe, form, input, button")).to_have_count(0)
    expect(shown.locator(":not(ansi-text *)[style], [onclick]")).to_have_count(0)
    expect(shown.locator("[onerror]")).to_have_count(0)
    expect(shown.locator("[href^='javascript:']")).to_have_count(0)
    assert "taken" not in page.title()
    own = urlsplit(page.url).netloc
    hosts = {urlsplit(request.url).netloc for request in asked}
    assert hosts <= {own, ""}


@pytest.mark.usefixtures("asked")
def test_a_raw_file_is_shown_as_its_characters(run: SubmittedRun, page: Page) -> None:
    page.goto(address_of(run, "page.html"))
    page.get_by_role("link", name="Raw").click()
    expect(page.locator("pre")).to_have_text(SCRIPT)
    assert page.title() == ""
