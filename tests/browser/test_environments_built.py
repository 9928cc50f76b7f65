"""Somebody adds a package to a curated environment, and runs it here and in Docker.

With `--pictures` it takes those of the README's tour into docs/pictures.
"""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.dropping import drop
from tests.browser.visiting import Picture, sign_in
from tests.environments.wheels import Wheels
from tests.services import docker_targets
from tests.services.docker_engine import DockerEngine
from tests.services.package_index import serve_index
from tests.services.portal import Portal

_SCRIPT = "import numbers_plus, sys\nprint('It has', numbers_plus.VERSION)\n"
_BUILT = re.compile(r"^Environment built in [\d.ms ]+ — \d+ lines$")
# On a host as a command line, in Docker as the list of a step.
_INSTALLS = re.compile(r'uv pip install|"pip", "install"')


@pytest.fixture
def wheels(tmp_path: Path) -> Wheels:
    wheels = Wheels(tmp_path / "index")
    wheels.add("numbers_plus")
    wheels.add("gone")
    return wheels


@pytest.fixture
def gate() -> threading.Event:
    """While it is closed, no build gets its packages."""
    return threading.Event()


@pytest.fixture
def portal(
    make_portal: Callable[..., Portal], wheels: Wheels, gate: threading.Event
) -> Iterator[Portal]:
    with serve_index(wheels.folder, gate=gate) as address:
        yield make_portal(AML_PORTAL_PYTHON_INDEX=address)


@pytest.mark.timeout(300)
def test_an_environment_is_built_once_and_then_found(
    portal: Portal,
    page: Page,
    docker_engine: DockerEngine,
    picture: Picture,
    trouble: list[str],
    tmp_path: Path,
    wheels: Wheels,
    gate: threading.Event,
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(_SCRIPT)
    page.set_default_timeout(20_000)
    expect.set_options(timeout=30_000)
    page.set_viewport_size({"width": 1280, "height": 860})
    docker_targets.attach(portal.sign_in(), docker_engine, network="host")
    sign_in(page, portal)
    clone_a_curated_one(page, portal)

    expect_outlook(page, portal, source, "local", "Will be built on local")
    submit(page)
    watch_the_build(page)
    gate.set()
    expect_folded(page)
    unfold_it(page)
    expect_outlook(page, portal, source, "local", "Ready on local")
    submit(page)
    expect_no_build(page)

    expect_outlook(page, portal, source, "whale", "Image will be built on local")
    gate.clear()
    submit(page)
    watch_the_build(page)
    picture("environment-building")
    gate.set()
    expect_folded(page)
    expect_outlook(page, portal, source, "whale", "Image ready on local")
    submit(page)
    expect_no_build(page)

    look_where_it_is(page, portal, picture)
    gate.clear()
    begin_to_build_another(page, portal)
    (wheels.folder / "gone-1.0-py3-none-any.whl").unlink()
    gate.set()
    see_it_fail(page)
    assert not trouble


def clone_a_curated_one(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/environments/")
    page.get_by_role("link", name="Clone AzureML-Minimal").click()
    page.get_by_label("Add a package").fill("numbers_plus")
    page.get_by_label("Add a package").press("Escape")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("Python packages")).to_have_value("numbers_plus")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_text("minimal:1 is saved.")).to_be_visible()


def expect_outlook(
    page: Page, portal: Portal, source: Path, target: str, words: str
) -> None:
    """On the page that submits, filled in for `target`; it follows what is picked."""
    page.goto(f"{portal.url}/runs/new/?experiment=numbers")
    drop(page, page.locator("source-drop"), source)
    expect(page.get_by_role("combobox", name="Script")).to_have_value("train.py")
    environments = page.get_by_label("Environment", exact=True)
    pick(environments, "this-python")
    outlook = page.locator("#environment-outlook")
    expect(outlook).to_have_text("")
    pick(environments, "minimal:1")
    page.get_by_role("radio", name=re.compile(f"^{target}")).check()
    expect(outlook).to_contain_text(words)


def pick(select: Locator, text: str) -> None:
    option = select.locator("option").filter(has_text=re.compile(rf"^\s*{text}"))
    select.select_option(option.get_attribute("value"))


def submit(page: Page) -> None:
    page.get_by_role("button", name="Submit run").last.click()
    expect(page.locator("run-page")).to_be_visible()


def status(page: Page) -> Locator:
    return page.locator(".run-line .status")


def rows(page: Page) -> Locator:
    return page.locator(".log-row__text")


def head(page: Page) -> Locator:
    return page.locator(".log-head")


def watch_the_build(page: Page) -> None:
    expect(status(page)).to_contain_text("Preparing")
    expect(page.get_by_text("Its environment is being built on local.")).to_be_visible()
    expect(rows(page).filter(has_text=_INSTALLS).first).to_be_visible()
    expect(head(page)).to_have_count(0)


def expect_folded(page: Page) -> None:
    """Without a reload: what was printed so far gives way to the script's own lines."""
    expect(status(page)).to_contain_text("Completed", timeout=60_000)
    expect(head(page)).to_have_text(_BUILT)
    expect(head(page)).to_have_attribute("aria-expanded", "false")
    expect(rows(page)).to_have_text(["It has 1.0"])


def unfold_it(page: Page) -> None:
    number = page.locator(".log-row__number")
    last = int(number.inner_text())
    head(page).focus()
    page.keyboard.press("Enter")
    expect(number).to_have_count(last)
    expect(number.first).to_have_text("1")
    page.keyboard.press("e")
    expect(number).to_have_count(1)
    # A link to a line, and a line that is found, show what was hidden.
    page.evaluate("location.hash = '#L1'")
    expect(number).to_have_count(last)
    page.reload()
    expect(page.locator(".log-row--selected")).to_have_count(1)
    page.goto(page.url.split("#")[0])
    expect(number).to_have_count(1)
    page.get_by_label("Search the log").fill("pip install")
    page.keyboard.press("Enter")
    expect(page.locator(".log-row--current")).to_contain_text("uv pip install")


def expect_no_build(page: Page) -> None:
    expect(status(page)).to_contain_text("Completed")
    expect(rows(page)).to_have_text(["It has 1.0"])
    expect(head(page)).to_have_count(0)
    page.get_by_role("link", name="Overview").click()
    card = page.get_by_role("region", name="Environment", exact=True)
    expect(card).to_contain_text("It was there already: nothing had to be built.")
    expect(card).to_contain_text("The packages are the same.")


def look_where_it_is(page: Page, portal: Portal, picture: Picture) -> None:
    page.goto(f"{portal.url}/environments/minimal/1/")
    card = page.get_by_role("region", name="Where it is built")
    expect(card.get_by_role("row")).to_have_count(3)
    expect(card.get_by_role("row").filter(has_text="image")).to_contain_text("ready")
    picture("environment")
    pick(card.get_by_label("Build it ahead"), "local: ready on local")
    card.get_by_role("button", name="Build").click()
    expect(page.get_by_role("heading", name="minimal:1 on local")).to_be_visible()
    expect(status(page)).to_contain_text("Completed")
    expect(rows(page)).to_contain_text(re.compile(r"Python 3\.11\.\d+ with \d+ pack"))


def begin_to_build_another(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/environments/minimal/1/")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Python packages").fill("gone")
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_text("minimal:2 is saved.")).to_be_visible()
    pick(page.get_by_label("Build it ahead"), "local: will be built on local")
    page.get_by_role("button", name="Build").click()
    watch_the_build(page)


def see_it_fail(page: Page) -> None:
    expect(status(page)).to_contain_text("Failed", timeout=60_000)
    expect(page.locator(".log-row").first).to_contain_text("gone")
    expect(head(page)).to_contain_text("The environment could not be made.")
    expect(rows(page).filter(has_text="uv pip install")).to_be_visible()
    expect(page.get_by_role("link", name="Submit again")).to_be_visible()
    page.get_by_role("link", name="Edit the environment").click()
    expect(page.get_by_label("Python packages")).to_have_value("gone")
