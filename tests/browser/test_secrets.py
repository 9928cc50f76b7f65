"""A secret, from where it is kept to a log that does not tell it."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dropping import drop
from tests.browser.visiting import sign_in
from tests.services.portal import Portal

_VALUE = "hf_a-token-of-the-browser"
_SCRIPT = """
import os
token = os.environ["HF_TOKEN"]
print("it is", token, "of", len(token))
"""


@pytest.mark.timeout(180)
def test_a_secret_is_kept_chosen_and_masked(
    portal: Portal, page: Page, trouble: list[str], tmp_path: Path
) -> None:
    page.set_default_timeout(20_000)
    sign_in(page, portal)
    keep_by_the_keyboard(page, portal)
    (tmp_path / "train.py").write_text(_SCRIPT)
    page.goto(f"{portal.url}/runs/new/")
    drop(page, page.locator("source-drop"), tmp_path / "train.py")
    page.get_by_role("combobox", name="Experiment").fill("secrets")
    page.get_by_text("Variables, limits and tags").click()
    choose_by_the_keyboard(page)
    preview = page.locator("#submit-preview")
    expect(preview).to_contain_text("keyvault.get_secret('hf-token')")
    page.get_by_role("button", name="Submit run").last.click()
    row = page.locator(".log-row__text").filter(has_text="it is")
    expect(row).to_have_text(f"it is *** of {len(_VALUE)}", timeout=30_000)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("hf-token", exact=True)).to_be_visible()
    page.get_by_role("link", name="Resubmit").click()
    expect(page.get_by_label("Secret", exact=True)).to_have_value("hf-token")
    expect(preview).to_contain_text("keyvault.get_secret('hf-token')")
    assert _VALUE not in page.content()
    assert not trouble


def keep_by_the_keyboard(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/runs/new/")
    # A page that is left while it asks for something complains.
    expect(page.locator("#submit-preview")).to_contain_text("ScriptRunConfig")
    page.get_by_text("Variables, limits and tags").click()
    page.get_by_role("link", name="keep a secret").press("Enter")
    page.get_by_label("Name").fill("hf-token")
    page.keyboard.press("Tab")
    page.keyboard.type(_VALUE)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The secret hf-token is kept.")).to_be_visible()
    expect(page.get_by_role("cell", name="hf-token", exact=True)).to_be_visible()
    assert _VALUE not in page.content()


def choose_by_the_keyboard(page: Page) -> None:
    reason = page.locator("#submit-reason")
    page.get_by_role("button", name="Add a secret").press("Enter")
    page.keyboard.type("HF_TOKEN")
    expect(reason).to_have_text("Choose a secret for HF_TOKEN.")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Secret", exact=True)).to_have_value("hf-token")
    expect(reason).to_have_text("Runs train.py in secrets.")
