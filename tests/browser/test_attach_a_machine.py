"""An administrator attaches a machine over SSH, and the same script runs on it."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visiting import sign_in
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun
from tests.services.sshd import Sshd

_ARGUMENTS = "--epochs 2"


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with Sshd() as server:
        yield server


@pytest.mark.timeout(240)
def test_the_same_script_runs_on_an_attached_machine(
    portal: Portal, page: Page, sshd: Sshd, tmp_path: Path
) -> None:
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    sign_in(page, portal)
    attach(page, portal, sshd, tmp_path / "far")
    here = submit_digits(page, portal, "local")
    there = submit_digits(page, portal, "gpu-box")
    assert results(here) == results(there)
    assert (tmp_path / "far/objects").is_dir()
    page.goto(f"{portal.url}/runs/{there.run_id}/?tab=overview")
    expect(page.get_by_text("Portal to gpu-box: 3 of 3 files new")).to_be_visible()


def attach(page: Page, portal: Portal, sshd: Sshd, root: Path) -> None:
    page.goto(f"{portal.url}/compute/")
    page.get_by_role("link", name="Attach").click()
    page.get_by_role("link", name="Remote machine").click()
    for label, text in {
        "Name:": "gpu-box",
        "Address:": "127.0.0.1",
        "SSH port:": str(sshd.port),
        "User name:": sshd.user,
        "Private key:": sshd.private_key,
        "Working folder:": str(root),
        "Python:": sys.executable,
    }.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Next: look at its host key").click()
    expect(page.locator(".host-key")).to_have_text(re.compile("^SHA256:"))
    page.get_by_role("button", name="It is: trust this key").click()
    checks = page.locator(".check")
    expect(checks.filter(has_text="Fine:")).to_have_count(6)
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    # It is all there without a reload, and can be asked for again.
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("Being checked")).to_be_visible()
    expect(checks.filter(has_text="Fine:")).to_have_count(6)


def submit_digits(page: Page, portal: Portal, target: str) -> SubmittedRun:
    page.goto(f"{portal.url}/runs/new/?example=digits")
    page.get_by_label("As a command line").fill(_ARGUMENTS)
    page.get_by_role("radio", name=re.compile(f"^{target}")).check()
    page.get_by_role("button", name="Submit run").last.click()
    expect(page.locator(".run-line .status")).to_contain_text(
        "Completed", timeout=60_000
    )
    rows = page.locator(".log-row__text")
    expect(rows.filter(has_text="were read correctly")).to_be_visible()
    run_id = page.url.rstrip("/").split("/")[-1]
    return SubmittedRun(portal=portal, run_id=run_id)


def results(run: SubmittedRun) -> dict[str, object]:
    """What the script says it has reached, but for how long that took."""
    path = run.mirror / "files/outputs/metrics.json"
    found: dict[str, object] = json.loads(path.read_text())
    return {name: value for name, value in found.items() if "second" not in name}
