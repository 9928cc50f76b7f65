"""A git repository is fetched as the source of a run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.services.git import commit, git, repository, write
from tests.services.git_server import GitServer, serving
from tests.services.portal import Portal

_POINTER = f"""version https://git-lfs.github.com/spec/v1
oid sha256:{"0" * 64}
size 9
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    project = repository(tmp_path / "project", {"train.py": "print('from git')\n"})
    other = repository(tmp_path / "other", {"x": "1"})
    git(project, "submodule", "--quiet", "add", str(other), "libs/other")
    write(project, {"weights.bin": _POINTER})
    commit(project)
    with serving(GitServer(tmp_path)) as server:
        yield server


@pytest.fixture
def person(make_portal: Callable[..., Portal], page: Page) -> Iterator[Page]:
    portal = make_portal(AML_PORTAL_GIT_HOSTS="127.0.0.1")
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    client = portal.sign_in()
    page.context.add_cookies(
        [{"name": n, "value": v, "url": portal.url} for n, v in client.cookies.items()]
    )
    page.goto(portal.url + "/runs/new/")
    page.get_by_role("button", name="Git repository").click()
    yield page
    expect.set_options(timeout=5_000)


@pytest.mark.timeout(180)
def test_fetch_and_submit(person: Page, server: GitServer) -> None:
    address = person.get_by_label("Address of the repository")
    reference = person.get_by_label("Branch, tag or commit")
    trouble = person.locator("source-drop [data-part=trouble]")
    said = person.locator("source-drop [data-part=said]")

    address.fill("ext::sh%20-c")
    address.press("Enter")
    expect(trouble).to_contain_text("starts a program")
    expect(address).to_be_focused()

    server.is_silent = True
    address.fill(f"{server.url}/project/.git")
    person.get_by_role("button", name="Fetch").click()
    expect(said).to_contain_text("Fetching…")
    person.get_by_role("button", name="Stop").click()
    expect(trouble).to_contain_text("This was stopped.")
    server.is_silent = False
    server.released.set()

    reference.fill("nothing")
    reference.press("Enter")
    expect(trouble).to_contain_text("no branch and no tag “nothing”")

    lost = _lose_some(person)
    reference.fill("main")
    reference.press("Enter")
    expect(person.locator("source-drop [data-part=facts]")).to_contain_text("of main")
    assert lost
    expect(person.get_by_text("These submodules are not fetched")).to_be_visible()
    expect(person.locator("[data-part=pointers]")).to_have_text("weights.bin")
    expect(person.locator("[data-part=preflight]")).to_contain_text(
        "Name the experiment"
    )

    person.get_by_role("combobox", name="Experiment").fill("git")
    person.get_by_role("button", name="Submit run").last.click()
    expect(person.locator(".run-line .status")).to_contain_text("Completed")
    expect(person.locator("log-view")).to_contain_text("from git")
    person.get_by_role("link", name="Overview").click()
    link = person.get_by_role("link", name=f"{server.url}/project/.git")
    expect(link).to_be_visible()


def _lose_some(page: Page) -> list[str]:
    """Break off the first looks at how far an import is; those that were."""
    lost: list[str] = []

    def lose(route: Route) -> None:
        if len(lost) < 2 and route.request.method == "GET":
            lost.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/snapshots/git/**", lose)
    return lost
