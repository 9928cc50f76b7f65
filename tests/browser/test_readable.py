"""Every text has enough contrast, light and dark, and every control has a name."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import target_pages
from tests.browser.visiting import sign_in
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit

_FIND_PALE = Path(__file__).with_name("readable.js").read_text()
_NAMELESS = re.compile(r"^\s*- (link|button|textbox|combobox|checkbox)\b(?! \")", re.M)
_TABS = ("log", "overview", "outputs", "resources", "snapshot", "configuration")
_SCRIPT = """
import pathlib
print("a line")
pathlib.Path("outputs/table.csv").write_text("name,value\\none,1\\n")
raise SystemExit(3)
"""


@pytest.fixture(scope="module")
def run(portal: Portal) -> SubmittedRun:
    client = portal.sign_in()
    run = submit(
        portal,
        client,
        script=_SCRIPT,
        arguments=(),
        **{"tags-name": "a", "tags-value": "b"},
    )
    assert run.wait_for_end() == "Failed"
    return run


@pytest.fixture
def addresses(run: SubmittedRun) -> list[str]:
    return [
        "/",
        "/runs/",
        "/runs/?state=Failed&tag=a",
        "/runs/?text=nothing",
        "/experiments/",
        "/runs/new/",
        f"/runs/new/?from={run.run_id}",
        "/environments/",
        "/environments/new/",
        "/environments/new/text/",
        "/environments/new/import/",
        "/environments/AzureML-Scikit-learn/1/",
        "/environments/AzureML-Scikit-learn/1/compare/",
        "/compute/local/",
        "/compute/local/queue/",
        "/compute/local/edit/",
        "/change-password/",
        "/nowhere/",
        *(f"/runs/{run.run_id}/?tab={tab}" for tab in _TABS),
        f"/runs/{run.run_id}/?tab=outputs&file=outputs/table.csv",
        f"/runs/{run.run_id}/?tab=snapshot&file=train.py",
        f"/runs/{run.run_id}/?tab=snapshot&file=train.py&line=2",
        "/secrets/",
        "/secrets/new/",
        "/git-credentials/",
        "/git-credentials/new/",
    ]


def test_every_page_can_be_read(
    portal: Portal, addresses: list[str], page: Page
) -> None:
    page.emulate_media(reduced_motion="reduce")
    found = look_at(page, portal.url, ["/sign-in/"])
    sign_in(page, portal)
    assert found | look_at(page, portal.url, addresses) == {}


@pytest.mark.timeout(240)
def test_every_page_of_targets_can_be_read(portal: Portal, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    addresses = target_pages.addresses(target_pages.attach_all(portal))
    sign_in(page, portal)
    found = look_at(page, portal.url, addresses)
    for state in target_pages.states(page, portal.url):
        found |= look_at_widths(page, state)
    assert found == {}


def look_at(page: Page, url: str, addresses: list[str]) -> dict[str, list[str]]:
    """What can't be read or has no name, by the address of its page."""
    found: dict[str, list[str]] = {}
    for address in addresses:
        page.goto(url + address)
        page.wait_for_load_state("networkidle")
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        found |= look_at_widths(page, address)
    return found


def look_at_widths(page: Page, what: str) -> dict[str, list[str]]:
    found = {}
    for width in (380, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        if troubles := look(page):
            found[f"{what} at {width} px"] = troubles
    return found


def look(page: Page) -> list[str]:
    snapshot = page.locator("body").aria_snapshot()
    troubles = [match[0].strip() for match in _NAMELESS.finditer(snapshot)]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"html[data-bs-theme={scheme}]")
        troubles += [f"{scheme}: {pale}" for pale in page.evaluate(_FIND_PALE)]
    return troubles
