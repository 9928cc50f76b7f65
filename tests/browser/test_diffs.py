"""Diffs in a browser: both views, what is fetched when wanted, and the keyboard."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_every_width import _WIDEST
from tests.browser.visiting import sign_in
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit, upload

_CODE = "".join(f"value_{n} = {n}\n" for n in range(1, 401))
_LONG = "a_very_long_name_without_any_place_to_break_it_" * 4
_MANY = {f"{n:02}.py": f"a = {n}\n" for n in range(40)}


@pytest.fixture(scope="module")
def client(portal: Portal) -> httpx.Client:
    return portal.sign_in()


@pytest.fixture(scope="module")
def snapshots(client: httpx.Client) -> tuple[str, str]:
    edited = _CODE.replace("value_300 = 300", "value_300 = 301")
    return (
        upload(client, {"train.py": _CODE, **_MANY, f"{_LONG}.txt": "x" * 3000}),
        upload(
            client,
            {
                "train.py": edited,
                **{name: f"{text}b = 1\n" for name, text in _MANY.items()},
                f"{_LONG}/{_LONG}.txt": "x" * 3000 + "y",
            },
        ),
    )


@pytest.fixture(scope="module")
def run(
    portal: Portal, client: httpx.Client, snapshots: tuple[str, str]
) -> SubmittedRun:
    submit(portal, client, snapshot=snapshots[0]).wait_for_end()
    run = submit(portal, client, snapshot=snapshots[1])
    run.wait_for_end()
    return run


@pytest.fixture
def trouble(page: Page, portal: Portal) -> Iterator[list[str]]:
    """Sign the page in; what its browser complains of must be nothing."""
    sign_in(page, portal)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    yield said
    assert not said


@pytest.mark.usefixtures("trouble")
def test_a_diff_is_read_in_both_views_with_the_keyboard(
    page: Page, portal: Portal, snapshots: tuple[str, str]
) -> None:
    before, after = snapshots
    page.goto(f"{portal.url}/snapshots/{before}/diff/{after}/")
    expect(page.locator(".diff-sum")).to_contain_text("42 files changed")
    # A file that was not drawn is fetched when the index leads to it.
    page.locator(".diff-index summary").click()
    page.locator(".diff-index a", has_text="train.py").click()
    file = page.locator("details.diff-file", has_text="train.py")
    expect(file.locator("summary")).to_be_focused()
    expect(file.locator(".diff-removed")).to_contain_text("value_300 = 300")
    expect(file.locator(".diff-added .diff-word")).to_have_text("301")
    # The lines next to the change first.
    gap = file.locator(".diff-gap a").first
    gap.focus()
    page.keyboard.press("Enter")
    expect(file).to_contain_text("value_97 = 97")
    expect(file).not_to_contain_text("value_96 = 96")
    expect(file.locator(".diff-gap a").first).to_have_text("96 equal lines")
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator(".diff-split").first).to_be_visible()
    assert page.url.endswith("?view=split")
    page.reload()
    expect(page.locator(".diff-split").first).to_be_visible()
    page.get_by_role("button", name="Fold all").click()
    expect(page.locator("details.diff-file[open]")).to_have_count(0)
    page.get_by_role("button", name="Unfold all").click()
    expect(page.locator("details.diff-file[open]").first).to_be_visible()


@pytest.mark.usefixtures("trouble")
def test_a_run_shows_its_changes_when_one_looks_there(
    page: Page, run: SubmittedRun, snapshots: tuple[str, str]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1280, "height": 500})
    page.goto(f"{run.portal.url}/runs/{run.run_id}/")
    page.get_by_role("link", name="Snapshot", exact=True).click()
    link = page.get_by_role("link", name="42 files changed since #1")
    expect(link).to_be_visible()
    assert not [url for url in asked if "/diff/" in url]
    link.click()
    expect(page.locator("#changes .diff-sum")).to_contain_text("42 files changed")
    here = page.url
    page.get_by_role("link", name="Side by side").click()
    expect(page.locator("#changes .diff-split").first).to_be_visible()
    assert page.url == here


@pytest.mark.usefixtures("trouble")
def test_a_snapshot_to_compare_with_is_found_by_the_name_of_its_run(
    page: Page, run: SubmittedRun, snapshots: tuple[str, str]
) -> None:
    before, after = snapshots
    page.goto(f"{run.portal.url}/snapshots/{after}/")
    page.locator(".compare summary").click()
    expect(page.locator(".compare-choices a")).to_have_count(1)
    page.get_by_label("Compare with the snapshot of").fill("nothing is named so")
    expect(page.locator(".compare-choices")).to_contain_text("No run")
    page.get_by_label("Compare with the snapshot of").fill("tests")
    page.locator(".compare-choices a").click()
    expect(page).to_have_url(f"{run.portal.url}/snapshots/{before}/diff/{after}/")
    page.get_by_role("link", name="Swap sides").click()
    expect(page.locator(".diff-end-name + a").first).to_have_text(after[:12])


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("view", ["inline", "split"])
def test_a_diff_is_as_wide_as_its_window(
    page: Page, portal: Portal, snapshots: tuple[str, str], view: str
) -> None:
    before, after = snapshots
    page.goto(f"{portal.url}/snapshots/{before}/diff/{after}/?view={view}")
    page.wait_for_load_state("networkidle")
    for width in (320, 380, 768, 1280, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(_WIDEST) == "", width
