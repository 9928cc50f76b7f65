"""Somebody clones a curated environment, changes it, and compares the versions."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import FilePayload, Page, expect

from tests.browser.visiting import sign_in
from tests.environments.wheels import Wheels
from tests.services.package_index import serve_index
from tests.services.portal import Portal

_REQUIREMENTS = FilePayload(
    name="requirements.txt", mimeType="text/plain", buffer=b"model\nnumbers<2\n"
)


def test_a_curated_environment_becomes_ones_own(
    make_portal: Callable[..., Portal], page: Page, tmp_path: Path
) -> None:
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    wheels = Wheels(tmp_path / "index")
    for version in ("1.0", "2.0"):
        wheels.add("numbers", version)
    wheels.add("model", "1.0", requires=("numbers>=2",))
    wheels.add("tensorboard", "2.21.0")
    with serve_index(wheels.folder) as address:
        portal = make_portal(AML_PORTAL_PYTHON_INDEX=address)
        sign_in(page, portal)
        clone(page, portal)
        edit(page)
        bring_a_file(page, portal)


def clone(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/environments/")
    page.get_by_role("link", name="Clone AzureML-Minimal").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("minimal")
    name = page.get_by_label("Add a package")
    name.fill("sciki")
    expect(page.get_by_role("option", name="scikit-learn")).to_be_visible()
    name.fill("tensorb")
    page.get_by_role("option", name="tensorboard", exact=True).click()
    page.get_by_role("button", name="Add", exact=True).click()
    name.fill("model")
    name.press("Escape")
    name.press("Enter")
    lines = page.get_by_label("Python packages")
    expect(lines).to_have_value("tensorboard\nmodel")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_text("minimal:1 is saved.")).to_be_visible()
    expect(page.locator(".env-packages li")).to_have_text(["tensorboard", "model"])


def edit(page: Page) -> None:
    page.get_by_role("link", name="Edit", exact=True).click()
    lines = page.get_by_label("Python packages")
    lines.fill("model\nnumbers<2")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not saved")
    # What is wrong stands at the field, where one goes on.
    expect(lines).to_be_focused()
    expect(lines).to_have_accessible_description(
        re.compile("model and numbers<2 can't be installed together")
    )
    expect(lines).to_have_value("model\nnumbers<2")
    lines.fill("model\nnumbers>=2")
    look_at_secrets(page)
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_text("minimal:2 is saved.")).to_be_visible()
    page.get_by_label("Label", exact=True).fill("production")
    page.get_by_role("button", name="Label", exact=True).click()
    expect(page.locator(".page-head .env-label")).to_have_text("production")
    page.get_by_role("link", name="Compare", exact=True).click()
    rows = page.locator(".env-changes tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="numbers")).to_contain_text("not there")


def look_at_secrets(page: Page) -> None:
    """One is told of before it is saved."""
    page.locator("summary", has_text="Variables").click()
    variables = page.get_by_label("Environment variables")
    note = page.get_by_text("Something here looks like a secret")
    variables.fill("A=1")
    expect(note).to_be_hidden()
    variables.fill("A=1\nHF_TOKEN=abc")
    expect(note).to_be_visible()
    variables.fill("")
    expect(note).to_be_hidden()


def bring_a_file(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/environments/new/import/")
    page.get_by_label("Files", exact=True).set_input_files(_REQUIREMENTS)
    page.get_by_role("button", name="Read the files").click()
    expect(page.get_by_label("Python packages")).to_have_value("model\nnumbers<2")
    expect(page.get_by_text(re.compile("names no Python"))).to_be_visible()
    page.get_by_role("radio", name=re.compile("User-managed")).check()
    expect(page.get_by_label("Python packages")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("system")
    page.get_by_label("Interpreter", exact=True).fill("/usr/bin/python3")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_text("system:1 is saved.")).to_be_visible()
