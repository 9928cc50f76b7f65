"""A folder that is dropped once more: the browser sends only what changed of it."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.dropping import drop
from tests.services.portal import Portal

_SCRIPT = "print('a line of the script')\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of a real package, with a script and rules beside it."""
    folder = tmp_path_factory.mktemp("sources") / "project"
    shutil.copytree(str(files("sklearn")), folder / "sklearn")
    (folder / "train.py").write_text(_SCRIPT)
    (folder / ".gitignore").write_text("*.pyc\n/notes\n")
    (folder / "notes").mkdir()
    (folder / "notes" / "diary.txt").write_text("dear diary")
    return folder


@pytest.fixture
def person(portal: Portal, page: Page) -> Iterator[Page]:
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    client = portal.sign_in()
    page.context.add_cookies(
        [{"name": n, "value": v, "url": portal.url} for n, v in client.cookies.items()]
    )
    page.goto(portal.url + "/runs/new/")
    yield page
    expect.set_options(timeout=5_000)


# Browsers tell nobody how large a Blob is that they send.
_TELL = """
const { open, send } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.open = function (method, url, ...more) {
  this.isOfFiles = url.includes("/snapshots/objects/");
  return open.call(this, method, url, ...more);
};
XMLHttpRequest.prototype.send = function (body) {
  if (this.isOfFiles) tellSent(body.size);
  return send.call(this, body);
};
"""


@dataclass
class Sent:
    """What the page sends of files, and in how many requests."""

    bytes: int = 0
    requests: int = 0

    def add(self, size: int) -> None:
        self.bytes += size
        self.requests += 1

    def take(self) -> "Sent":
        """What was sent since this was called last."""
        taken = replace(self)
        self.bytes = self.requests = 0
        return taken


@pytest.fixture
def sent(person: Page) -> Sent:
    sent = Sent()
    person.expose_function("tellSent", sent.add)
    person.add_init_script(_TELL)
    person.reload()
    return sent


def part(page: Page, name: str) -> Locator:
    return page.locator(f"source-drop [data-part={name}]")


def submit(page: Page, experiment: str) -> None:
    page.get_by_role("combobox", name="Experiment").fill(experiment)
    page.get_by_role("button", name="Submit run").last.click()
    expect(page.locator(".run-line .status")).to_be_visible()


def choose(page: Page, source: Path) -> None:
    drop(page, page.locator("source-drop"), source)
    expect(part(page, "kept")).to_be_visible()


@pytest.mark.timeout(240)
def test_the_second_time_only_what_changed_travels(
    portal: Portal, person: Page, sent: Sent, source: Path
) -> None:
    choose(person, source)
    facts = part(person, "facts")
    expect(facts).to_contain_text("to be sent")
    assert sent == Sent(), "Nothing is sent before the person says so."
    expect(part(person, "preflight")).to_contain_text("Name the experiment")
    person.locator("[data-part=left-out-box] summary").click()
    left_out = part(person, "left-out")
    expect(left_out).to_contain_text("notes .gitignore:2: /notes")
    submit(person, "changes")
    contents = {
        path.read_bytes()
        for path in source.rglob("*")
        if path.is_file() and not {"__pycache__", "notes"} & set(path.parts)
    }
    total = sum(map(len, contents))
    assert sent.take().bytes > total

    (source / "train.py").write_text(_SCRIPT + "print('one more')\n")
    person.goto(portal.url + "/runs/new/?experiment=changes")
    choose(person, source)
    expect(facts).to_contain_text(re.compile(r"; 1 file, \d+ bytes, to be sent"))
    preflight = part(person, "preflight")
    expect(preflight).to_contain_text(
        re.compile(r"Since changes #1:\s+1 changed, [\d,]+ as")
    )
    submit(person, "changes")
    changed = sent.take()
    assert changed.requests == 1
    assert changed.bytes < total / 1000
    person.get_by_role("link", name="Overview").click()
    expect(
        person.get_by_text(re.compile(r"Source to portal: 1 of [\d,]+ files new"))
    ).to_be_visible()
    expect(person.locator(".run-line .status")).to_contain_text("Completed")


def test_what_is_as_it_was_is_not_sent(
    portal: Portal, person: Page, sent: Sent, source: Path
) -> None:
    choose(person, source)
    submit(person, "again")
    sent.take()
    person.goto(portal.url + "/runs/new/?experiment=again")
    choose(person, source)
    expect(part(person, "facts")).to_contain_text("the portal has all of it")
    expect(part(person, "preflight")).to_contain_text("The same as again #1")
    submit(person, "again")
    assert sent == Sent()
    person.get_by_role("link", name="Overview").click()
    expect(person.get_by_text("Source to portal: nothing new")).to_be_visible()


def test_secrets_are_told_before_anything_is_sent(
    person: Page, sent: Sent, tmp_path: Path
) -> None:
    folder = tmp_path / "careless"
    folder.mkdir()
    (folder / "train.py").write_text("TOKEN = 'ghp_" + "a1" * 18 + "'\n")
    (folder / ".env").write_text("PASSWORD=1\n")
    choose(person, folder)
    expect(part(person, "secrets")).to_contain_text("train.py a token of GitHub")
    expect(part(person, "preflight")).to_contain_text(
        ".env has a name like those of secrets"
    )
    assert sent == Sent()


def test_a_lost_connection_is_taken_up_again(
    portal: Portal, person: Page, sent: Sent, tmp_path: Path
) -> None:
    """The large file goes on where it stopped; what arrived is not sent again."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "train.py").write_text(_SCRIPT)
    size = 40 * 1024 * 1024
    (folder / "weights.bin").write_bytes(bytes(range(256)) * (size // 256))
    requests = {"count": 0}

    def break_some(route: Route) -> None:
        requests["count"] += 1
        if requests["count"] == 4:
            portal.kill("web")
        if requests["count"] == 6:
            route.abort("connectionreset")
        else:
            route.continue_()

    choose(person, folder)
    person.route("**/snapshots/objects/**", break_some)
    submit(person, "broken-off")
    assert requests["count"] > 6
    # At most two pieces of 8 MiB were on their way when the connection was lost.
    assert size < sent.bytes <= size + 2 * 8 * 1024 * 1024 + 10_000
    expect(person.locator(".run-line .status")).to_contain_text("Completed")


@pytest.mark.parametrize("size", [20, 3_000_000])
def test_a_file_that_was_changed_is_told_and_the_run_not_made(
    person: Page, tmp_path: Path, size: int
) -> None:
    folder = tmp_path / "changing"
    folder.mkdir()
    (folder / "train.py").write_bytes(os.urandom(size))
    choose(person, folder)
    (folder / "train.py").write_bytes(os.urandom(size))
    person.get_by_role("combobox", name="Experiment").fill("changed")
    person.get_by_role("button", name="Submit run").last.click()
    trouble = part(person, "trouble")
    expect(trouble).to_contain_text("“train.py” was changed or removed meanwhile")
    expect(person).to_have_url(re.compile("/runs/new/$"))


def test_links_in_circles_are_passed_over(person: Page, tmp_path: Path) -> None:
    folder = tmp_path / "circles"
    (folder / "d").mkdir(parents=True)
    (folder / "train.py").write_text(_SCRIPT)
    for name, target in {"loop": ".", "d/up": "..", "out": "/etc", "a": "a"}.items():
        (folder / name).symlink_to(target)
    choose(person, folder)
    expect(part(person, "facts")).to_contain_text("1 file,")


def test_the_largest_are_told_before_too_much_is_read(
    person: Page, sent: Sent, tmp_path: Path
) -> None:
    folder = tmp_path / "huge"
    folder.mkdir()
    for number in range(1, 13):
        with (folder / f"f{number}.bin").open("wb") as file:
            file.truncate(number * 10**8)
    drop(person, person.locator("source-drop"), folder)
    trouble = part(person, "trouble")
    expect(trouble).to_contain_text("has 7.8 GB, and a snapshot holds at most 2.1 GB")
    expect(trouble).to_contain_text("The largest: f12.bin (1.2 GB), f11.bin (1.1 GB)")
    expect(trouble).not_to_contain_text("f2.bin")
    archive = tmp_path / "huge.zip"
    with archive.open("wb") as file:
        file.truncate(3 * 10**9)
    drop(person, person.locator("source-drop"), archive)
    expect(trouble).to_contain_text(
        "“huge.zip” has 3.0 GB, and a snapshot holds at most"
    )
    assert sent == Sent()


def test_a_page_without_tls_hashes_too(
    portal: Portal, person: Page, sent: Sent, source: Path
) -> None:
    """There browsers have no WebCrypto; an init script takes it away from workers."""
    hidden = "Object.defineProperty(crypto, 'subtle', { value: undefined });\n"

    def without(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=hidden + answer.text())

    person.route("**/hash-worker*.js", without)
    choose(person, source / "train.py")
    expect(part(person, "facts")).to_contain_text("1 file,")
    submit(person, "plain")
    expect(person.locator(".run-line .status")).to_contain_text("Completed")
