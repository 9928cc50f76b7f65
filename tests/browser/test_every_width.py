"""No page is wider than its window, whatever its width and however long the names."""

import pytest
from playwright.sync_api import Page

from tests.browser import target_pages
from tests.browser.visiting import sign_in
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit, upload

_LONG = "a_very_long_name_without_any_place_to_break_it_" * 4
_SCRIPT = f"""
import pathlib
print("x" * 3000)
folder = pathlib.Path("outputs", "{_LONG}")
folder.mkdir()
(folder / "{_LONG}.csv").write_text(",".join(map(str, range(200))))
(folder / "report.md").write_text("# {_LONG}\\n\\n| " + "a | " * 60)
"""
# The innermost element that reaches beyond the window, where the page is too wide.
_WIDEST = """
async () => {
  await new Promise(requestAnimationFrame);
  const root = document.documentElement;
  if (root.scrollWidth <= innerWidth) return "";
  const beyond = [...document.body.querySelectorAll("*")].filter(
    (element) => element.getBoundingClientRect().right > innerWidth + 1,
  );
  const widest = beyond.at(-1) ?? root;
  return `${widest.outerHTML.slice(0, 80)} in ${widest.parentElement?.className}`;
}
"""
_WIDTHS = (320, 380, 768, 1280, 1600)
_TABS = ("log", "overview", "outputs", "resources", "snapshot", "configuration")


@pytest.fixture(scope="module")
def run(portal: Portal) -> SubmittedRun:
    client = portal.sign_in()
    client.post("/secrets/new/", data={"name": _LONG[:127], "value": "a value"})
    snapshot = upload(client, {"train.py": _SCRIPT, f"{_LONG}/{_LONG}.txt": "x"})
    run = submit(
        portal,
        client,
        snapshot=snapshot,
        arguments=("--name", _LONG * 3),
        experiment=_LONG,
        display_name=_LONG,
        **{"tags-name": _LONG, "tags-value": _LONG},
        **{"variables-name": "NAME", "variables-value": _LONG},
        **{"secrets-name": _LONG.upper(), "secrets-value": _LONG[:127]},
    )
    assert run.wait_for_end() == "Completed"
    return run


def addresses(run: SubmittedRun) -> list[str]:
    tabs = [f"/runs/{run.run_id}/?tab={tab}" for tab in _TABS]
    return [
        "/",
        "/runs/",
        "/secrets/",
        "/secrets/new/",
        f"/runs/?experiment={_LONG}&text=a&tag={_LONG}",
        "/experiments/",
        f"/experiments/{_LONG}/",
        "/runs/new/",
        f"/runs/new/?from={run.run_id}",
        "/environments/",
        "/environments/new/",
        "/environments/new/text/",
        "/environments/new/import/",
        "/environments/AzureML-Scikit-learn/1/",
        "/environments/AzureML-Scikit-learn/1/compare/",
        "/compute/",
        "/compute/local/",
        "/compute/local/queue/",
        "/compute/local/edit/",
        "/compute/local/leftovers/",
        "/compute/new/ssh/",
        "/git-credentials/",
        "/git-credentials/new/",
        "/git-credentials/keys/new/",
        *tabs,
        f"/runs/{run.run_id}/?tab=outputs&file=outputs/{_LONG}/report.md",
        f"/runs/{run.run_id}/?tab=snapshot&file={_LONG}/{_LONG}.txt",
        "/nowhere/",
    ]


def test_a_page_is_as_wide_as_its_window(
    portal: Portal, run: SubmittedRun, page: Page
) -> None:
    sign_in(page, portal)
    assert not visit(page, portal.url, addresses(run))


def test_a_page_of_targets_is_as_wide_as_its_window(portal: Portal, page: Page) -> None:
    waiting = target_pages.attach_all(portal)
    sign_in(page, portal)
    wide = visit(page, portal.url, target_pages.addresses(waiting))
    for state in target_pages.states(page, portal.url):
        wide |= measure(page, state)
    assert not wide


def visit(page: Page, url: str, addresses: list[str]) -> dict[tuple[str, int], str]:
    """What is too wide, by the address of its page and the width of the window."""
    wide: dict[tuple[str, int], str] = {}
    for address in addresses:
        page.goto(url + address)
        page.wait_for_load_state("networkidle")
        wide |= measure(page, address.replace(_LONG, "LONG"))
    return wide


def measure(page: Page, what: str) -> dict[tuple[str, int], str]:
    wide = {}
    for width in _WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if found := page.evaluate(_WIDEST):
            wide[what, width] = found
    return wide
