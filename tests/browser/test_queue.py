"""The queue of a target in a browser: dragged, moved by keys, told as it changes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visiting import sign_in
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, set_places, submit

_LONG = "import time; time.sleep(600)"


@pytest.fixture
def runs(portal: Portal) -> Iterator[list[SubmittedRun]]:
    """One at work, and three that wait."""
    client = portal.sign_in()
    set_places(portal, 1)
    runs = [
        submit(portal, client, script=_LONG, display_name=f"run {name}")
        for name in "abcd"
    ]
    runs[0].wait_for("Running")
    yield runs
    for run in reversed(runs):
        client.post(f"/runs/{run.run_id}/cancel/")
    for run in runs:
        run.wait_for_end()
    client.close()


def order(page: Page) -> list[str]:
    return page.locator("tr[data-place] .name-link").all_inner_texts()


def expect_order(page: Page, names: str) -> None:
    links = page.locator("tr[data-place] .name-link")
    expect(links).to_have_text([f"run {name}" for name in names])


def test_runs_are_put_into_another_order(
    portal: Portal, runs: list[SubmittedRun], page: Page
) -> None:
    sign_in(page, portal)
    page.goto(f"{portal.url}/compute/local/")
    expect_order(page, "bcd")
    rows = page.locator("tr[data-place]")
    rows.nth(2).drag_to(rows.nth(0), target_position={"x": 300, "y": 4})
    expect_order(page, "dbc")
    status = page.locator("#queue [role=status]")
    expect(status).to_have_text("run d has place 1 in the queue.")
    # Dropped where it was, nothing is asked for.
    rows.nth(1).drag_to(rows.nth(0), target_position={"x": 300, "y": 44})
    expect_order(page, "dbc")
    # By keys alone, again and again: the button keeps the focus.
    page.get_by_role("button", name="Move run c up").focus()
    page.keyboard.press("Enter")
    expect_order(page, "dcb")
    expect(page.get_by_role("button", name="Move run c up")).to_be_focused()
    page.keyboard.press("Enter")
    expect_order(page, "cdb")
    page.keyboard.press("Enter")
    expect_order(page, "cdb")
    page.get_by_label("More for run b").click()
    page.get_by_role("button", name="High priority").click()
    expect_order(page, "bcd")


def test_the_pages_hear_of_every_change(
    portal: Portal, runs: list[SubmittedRun], page: Page
) -> None:
    sign_in(page, portal)
    page.goto(f"{portal.url}/runs/{runs[3].run_id}/")
    status = page.locator("#run-status")
    expect(status).to_contain_text("2 runs are ahead of it")
    other = page.context.new_page()
    other.goto(f"{portal.url}/compute/local/")
    expect_order(other, "bcd")
    client = portal.sign_in()
    change = {"run": runs[3].run_id, "way": "first"}
    client.post("/compute/local/queue/change/", data=change)
    expect(status).to_contain_text("this run is the next")
    expect_order(other, "dbc")
    client.post(f"/runs/{runs[0].run_id}/cancel/")
    expect(status).to_contain_text("Running", timeout=15_000)
    expect(other.locator("tr[data-run]:not([data-place])")).to_contain_text("run d")
    expect_order(other, "bc")
    client.close()


def test_the_submit_page_says_how_many_would_be_ahead(
    portal: Portal, runs: list[SubmittedRun], page: Page
) -> None:
    sign_in(page, portal)
    page.goto(f"{portal.url}/runs/new/")
    places = page.locator(".places")
    expect(places).to_contain_text("full, 3 ahead")
    page.get_by_label("Priority").select_option("High")
    expect(places).to_contain_text("full, 0 ahead")
