"""A person's way through the portal, from the first link to the history of runs.

With `--pictures` it takes those of the README's tour into docs/pictures.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dropping import drop
from tests.browser.visiting import Picture
from tests.services.portal import PASSWORD, ROOT, Portal

_DIGITS = ROOT / "examples" / "digits"
_SLOW = "import time\nfor i in range(10_000):\n    print(i)\n    time.sleep(0.1)\n"


@pytest.mark.timeout(240)
def test_from_the_first_link_to_the_history(
    portal: Portal, page: Page, picture: Picture, trouble: list[str], tmp_path: Path
) -> None:
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    page.set_viewport_size({"width": 1280, "height": 860})
    choose_a_password(page, portal)
    picture("home-empty")
    submit_a_dropped_folder(page, picture)
    watch_it_to_the_end(page, picture)
    look_at_what_it_wrote(page, picture)
    cancel_another(page, picture, tmp_path)
    resubmit_with_edits(page)
    filter_the_history(page, picture)
    sign_out_and_in(page, portal)
    assert not trouble


def choose_a_password(page: Page, portal: Portal) -> None:
    page.goto(portal.first_link)
    expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()
    page.get_by_label("New password:", exact=True).fill(PASSWORD)
    page.get_by_label("New password confirmation").fill(PASSWORD)
    page.get_by_role("button", name="Save and sign in").click()
    expect(page.get_by_text("Three steps to the first run")).to_be_visible()


def submit_a_dropped_folder(page: Page, picture: Picture) -> None:
    page.get_by_role("link", name="Submit a folder").click()
    drop(page, page.locator("source-drop"), _DIGITS)
    expect(page.locator("[data-part=name]")).to_have_text(re.compile("digits"))
    expect(page.get_by_role("combobox", name="Script")).to_have_value("train.py")
    page.get_by_label("As a command line").fill("--epochs 12 --learning-rate 0.002")
    expect(
        page.get_by_role("list", name="Arguments").locator("textarea")
    ).to_have_count(4)
    page.get_by_role("combobox", name="Experiment").fill("digits")
    page.get_by_label("Display name").fill("first try")
    page.get_by_text("Variables, limits and tags").click()
    page.get_by_role("button", name="Add a tag").click()
    page.get_by_label("Name of the tag").fill("data")
    page.get_by_label(re.compile("^Value")).last.fill("digits")
    expect(page.locator("#submit-preview")).to_contain_text("ScriptRunConfig")
    expect(page.locator("#submit-preview")).to_contain_text("tags={'data': 'digits'}")
    page.get_by_text("Variables, limits and tags").click()
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    picture("submit")
    page.get_by_role("button", name="Submit run").last.click()
    expect(page.get_by_role("heading", name="first try")).to_be_visible()


def watch_it_to_the_end(page: Page, picture: Picture) -> None:
    rows = page.locator(".log-row__text")
    expect(page.locator(".run-line .status")).to_contain_text("Running")
    expect(rows.filter(has_text="images to learn from")).to_be_visible()
    expect(rows.filter(has_text=re.compile(r"^epoch +2 +loss"))).to_be_visible()
    expect(rows.filter(has_text=re.compile(r"^epoch +4 +loss"))).to_be_visible()
    picture("run")
    expect(rows.filter(has_text="were read correctly")).to_be_visible(timeout=60_000)
    expect(page.locator(".run-line .status")).to_contain_text("Completed")
    expect(page.locator(".run-line")).to_contain_text("exit code 0")
    expect(page.get_by_text("Complete", exact=True)).to_be_visible()


def look_at_what_it_wrote(page: Page, picture: Picture) -> None:
    tabs = page.get_by_role("navigation", name="Parts of the run")
    tabs.get_by_role("link", name="Outputs").click()
    page.get_by_role("link", name=re.compile("report.md")).click()
    expect(page.get_by_role("heading", name="Handwritten digits")).to_be_visible()
    page.get_by_role("link", name=re.compile("history.csv")).click()
    expect(page.get_by_role("columnheader", name="accuracy")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Zip").first.click()
    assert download.value.suggested_filename.endswith(".zip")
    picture("outputs")
    tabs.get_by_role("link", name="Snapshot").click()
    page.get_by_role("link", name=re.compile("train.py")).click()
    expect(page.locator("#file-snapshot")).to_contain_text("load_digits")
    tabs.get_by_role("link", name="Resources").click()
    expect(page.locator("canvas").first).to_be_visible()
    tabs.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Finalizing", exact=True)).to_be_visible()


def cancel_another(page: Page, picture: Picture, folder: Path) -> None:
    script = folder / "slow.py"
    script.write_text(_SLOW)
    page.get_by_role("link", name="Submit run").click()
    page.locator("[data-part=archive]").set_input_files(script)
    expect(page.get_by_role("combobox", name="Script")).to_have_value("slow.py")
    page.get_by_role("combobox", name="Experiment").fill("slow")
    page.get_by_role("combobox", name="Experiment").press("Control+Enter")
    expect(page.locator(".log-row__text").filter(has_text="20")).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".run-line .status")).to_contain_text("Canceled")
    tabs = page.get_by_role("navigation", name="Parts of the run")
    tabs.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
    expect(page.get_by_text("SIGTERM", exact=True)).to_be_visible()
    expect(page.get_by_text("none is left")).to_be_visible()
    ended = page.get_by_role("table", name="Processes that were ended")
    ended.scroll_into_view_if_needed()
    picture("canceled")


def resubmit_with_edits(page: Page) -> None:
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name="first try").click()
    page.get_by_role("link", name="Resubmit").click()
    expect(page.get_by_role("combobox", name="Script")).to_have_value("train.py")
    line = page.get_by_label("As a command line")
    expect(line).to_have_value("--epochs 12 --learning-rate 0.002")
    line.fill("--epochs 2 --hidden 32")
    page.get_by_label("Display name").fill("second try")
    page.get_by_role("button", name="Submit run").last.click()
    expect(page.get_by_role("heading", name="second try")).to_be_visible()
    expect(page.locator(".run-line .status")).to_contain_text("Completed")
    expect(page.locator(".log-row__text").filter(has_text="epoch   2")).to_be_visible()


def filter_the_history(page: Page, picture: Picture) -> None:
    page.get_by_role("link", name="Runs", exact=True).click()
    rows = page.locator("#run-list tbody tr")
    expect(rows).to_have_count(3)
    picture("history")
    page.get_by_label("Search in names, ids and scripts").fill("try")
    expect(rows).to_have_count(2)
    page.get_by_role("group").filter(has_text="State").locator("summary").click()
    page.get_by_label("Completed").check()
    expect(page).to_have_url(re.compile("state=Completed.*text=try|text=try.*state="))
    page.get_by_label("Search in names, ids and scripts").fill("")
    expect(page).to_have_url(re.compile("^(?!.*text=try).*state=Completed"))
    expect(rows).to_have_count(2)
    page.goto(re.sub("state=Completed", "state=Canceled", page.url))
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("slow")
    page.go_back()
    expect(rows).to_have_count(2)


def sign_out_and_in(page: Page, portal: Portal) -> None:
    shared = page.url
    page.locator(".top-actions summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto(shared)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(shared)
