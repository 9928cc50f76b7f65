"""The log viewer in a browser: live, long, odd and broken logs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.log_page import (
    colour,
    contrast_on_paper,
    expect_hit,
    first_row_seen,
    height,
    live_bytes,
    live_lines,
    open_log,
    part,
    row,
    text,
)
from tests.services.portal import Portal
from tests.services.puppet import Puppet
from tests.services.runs import SubmittedRun, submit
from tests.waiting import eventually

_LONG = 1_000_000
_NEEDLES = (17, 500_000, 999_990)


@pytest.fixture(scope="module")
def client(portal: Portal) -> httpx.Client:
    return portal.sign_in()


@pytest.fixture
def page(page: Page, portal: Portal, client: httpx.Client) -> Iterator[Page]:
    """A page of a signed-in person, in which no script may fail."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    expect.set_options(timeout=20_000)
    page.set_default_timeout(20_000)
    page.set_viewport_size({"width": 1280, "height": 860})
    for name, value in client.cookies.items():
        page.context.add_cookies([{"name": name, "value": value, "url": portal.url}])
    yield page
    assert not errors


@pytest.fixture
def puppet(portal: Portal, client: httpx.Client, tmp_path: Path) -> Iterator[Puppet]:
    puppet = Puppet(portal, client, tmp_path)
    yield puppet
    puppet.end()


@pytest.fixture(scope="module")
def long_log(portal: Portal, client: httpx.Client) -> SubmittedRun:
    """A run with a log of a million lines, put there once it had ended."""
    run = submit(portal, client, script="print('short')")
    run.wait_for_end()
    lines = [f"line {number} of the log" for number in range(1, _LONG + 1)]
    for number in _NEEDLES:
        lines[number - 1] += " has a Needle"
    (run.mirror / "logs/std_log.txt").write_text("\n".join(lines) + "\n")
    return run


def numbered(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last + 1))


def test_the_view_follows_the_end_until_it_is_scrolled_away(
    page: Page, puppet: Puppet
) -> None:
    open_log(page, puppet.run)
    expect(part(page, "empty-so-far")).to_be_visible()
    puppet.say(numbered(1, 100))
    expect(text(page, 100)).to_have_text("line 100")
    expect(text(page, 100)).to_be_in_viewport()
    expect(part(page, "status")).to_have_text("Following")
    puppet.say(numbered(101, 300))
    expect(text(page, 300)).to_be_in_viewport()

    page.get_by_role("log").hover()
    page.mouse.wheel(0, -2000)
    expect(part(page, "status")).to_have_text("Not following")
    expect(text(page, 300)).to_have_count(0)
    seen = first_row_seen(page)
    puppet.say(numbered(301, 600))
    expect(part(page, "facts")).to_contain_text("600 lines")
    assert first_row_seen(page) == seen

    page.get_by_role("button", name="To the end").click()
    expect(text(page, 600)).to_be_in_viewport()
    expect(part(page, "status")).to_have_text("Following")
    # The button is gone, and who pressed it must not be sent to the top of the page.
    expect(page.get_by_role("log")).to_be_focused()
    puppet.say(numbered(601, 700))
    expect(text(page, 700)).to_be_in_viewport()


def test_the_end_of_the_run_is_the_end_of_the_log(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    puppet.say("first\nlast without newline")
    expect(text(page, 2)).to_have_text("last without newline")
    expect(part(page, "follow")).to_be_visible()
    puppet.end()
    expect(part(page, "status")).to_have_text("Complete")
    expect(part(page, "follow")).to_be_hidden()
    expect(text(page, 2)).to_be_in_viewport()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.path().read_bytes() == puppet.said


def test_a_log_that_is_sent_anew_replaces_the_lines_that_are_shown(
    page: Page, puppet: Puppet
) -> None:
    """As its script shortened it, and then printed past its old size."""
    open_log(page, puppet.run)
    puppet.say("old\n" * 600)
    expect(text(page, 600)).to_be_in_viewport()
    page.get_by_role("log").hover()
    page.mouse.wheel(0, -100_000)
    expect(text(page, 1)).to_have_text("old")
    (log,) = puppet.run.portal.data.glob(f"jobs/{puppet.run.run_id}/logs/std_log.txt")
    os.truncate(log, 0)
    puppet.say("new\n" * 700)
    puppet.end()
    expect(part(page, "status")).to_have_text("Complete")
    expect(text(page, 1)).to_have_text("new")
    part(page, "scroller").press("Control+End")
    expect(text(page, 700)).to_have_text("new")


def test_a_log_that_is_opened_late_is_live_and_has_its_own_address(
    page: Page, puppet: Puppet
) -> None:
    puppet.say(numbered(1, 50))
    for tab in ("", "?tab=overview"):
        page.goto(f"{puppet.run.portal.url}/runs/{puppet.run.run_id}/{tab}")
        tabs = page.get_by_role("navigation", name="Parts of the run")
        tabs.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("log")).to_be_hidden()
        tabs.get_by_role("link", name="Log").click()
        expect(part(page, "status")).to_have_text("Following")
        row(page, 50).locator("a").click()
        page.reload()
        expect(row(page, 50)).to_have_class(re.compile("log-row--selected"))


def test_a_run_that_prints_nothing_says_so(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    expect(part(page, "empty-so-far")).to_be_visible()
    puppet.end()
    expect(part(page, "empty-for-good")).to_be_visible()


def test_a_progress_bar_is_one_line_that_changes(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    puppet.say("begin\n\r 10% |#   |\r 50% |##  |")
    expect(text(page, 2)).to_have_text(" 50% |##  |")
    puppet.say("\r\x1b[32m100%\x1b[0m |####|")
    expect(text(page, 2)).to_have_text("100% |####|")
    puppet.say("\nbehind\n")
    expect(text(page, 3)).to_have_text("behind")
    raw = page.get_by_role("button", name="Raw")
    raw.click()
    expect(raw).to_have_attribute("aria-pressed", "true")
    expect(text(page, 2)).to_have_text(
        "\\r 10% |#   |\\r 50% |##  |\\r100% |####|", use_inner_text=True
    )
    page.get_by_role("log").press("r")
    expect(text(page, 2)).to_have_text("100% |####|")


def test_colours_are_shown_and_html_is_text(page: Page, puppet: Puppet) -> None:
    html = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>"
    open_log(page, puppet.run)
    puppet.say(f"\x1b[1;31mred\nstill red\x1b[0m plain\n{html}\n")
    expect(text(page, 3)).to_have_text(html)
    assert page.locator(".log-view__rows").locator("script, img").count() == 0
    plain = page.get_by_role("log")
    for number in (1, 2):
        red = text(page, number).locator(".log-fg-1")
        expect(red).to_have_css("font-weight", "700")
        assert colour(red) != colour(plain)
    expect(text(page, 2)).to_have_text("still red plain")


def test_colours_of_any_kind_can_be_read(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    # Dark blue and pale yellow text, each too near to one of the two papers.
    puppet.say("\x1b[38;2;0;0;95mblue\x1b[0m \x1b[38;5;230myellow\x1b[0m\n")
    for theme in ("light", "dark"):
        page.evaluate(
            "theme => document.documentElement.dataset.bsTheme = theme", theme
        )
        for piece in text(page, 1).locator("span").all():
            assert contrast_on_paper(piece) >= 4.5, (theme, piece.inner_text())


def test_bytes_that_are_no_text_do_no_harm(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    puppet.say(b"bad \xff\xfe utf8 \xc3( and \x00 NUL\nunicode \xe2\x82")
    expect(text(page, 1)).to_have_text("bad �� utf8 �( and \\0 NUL")
    expect(text(page, 2)).to_have_text("unicode ")
    puppet.say(b"\xac \xf0\x9f\x9a\x80\n")
    expect(text(page, 2)).to_have_text("unicode € 🚀")


def test_a_line_of_many_megabytes_shows_its_two_ends(
    page: Page, puppet: Puppet
) -> None:
    open_log(page, puppet.run)
    puppet.say(b"before\n<begin>" + b"x" * 30_000_000)
    expect(part(page, "facts")).to_contain_text("30 MB")
    puppet.say("<end>\nbehind\n")
    expect(text(page, 3)).to_have_text("behind")
    expect(text(page, 2)).to_contain_text(re.compile("^<begin>x"))
    expect(text(page, 2)).to_contain_text(re.compile("x<end>$"))
    expect(page.get_by_text("of this line are not shown")).to_be_attached()
    page.get_by_role("button", name="Wrap").click()
    page.get_by_role("log").press("Home")
    expect(text(page, 1)).to_be_in_viewport()
    length = page.evaluate(
        "document.querySelector('.log-view__rows').textContent.length"
    )
    assert length < 100_000


def test_a_bar_of_many_megabytes_shows_its_last_state(
    page: Page, puppet: Puppet
) -> None:
    puppet.say("".join(f"\r{step:7d} of 1000000" for step in range(1_000_001)))
    open_log(page, puppet.run)
    expect(text(page, 1)).to_have_text("1000000 of 1000000")


def test_a_link_opens_at_its_line(page: Page, long_log: SubmittedRun) -> None:
    open_log(page, long_log, "#L500003")
    expect(text(page, 500_003)).to_have_text("line 500003 of the log")
    expect(row(page, 500_003)).to_be_in_viewport()
    expect(row(page, 500_003)).to_have_class(re.compile("log-row--selected"))

    row(page, 500_001).locator("a").click()
    expect(page).to_have_url(re.compile("#L500001$"))
    row(page, 500_004).locator("a").click(modifiers=["Shift"])
    expect(page).to_have_url(re.compile("#L500001-L500004$"))
    expect(page.locator(".log-row--selected")).to_have_count(4)

    go_to = page.get_by_role("textbox", name="Go to line")
    go_to.fill("777,777")
    go_to.press("Enter")
    expect(row(page, 777_777)).to_be_in_viewport()
    expect(page).to_have_url(re.compile("#L777777$"))
    expect(page.get_by_role("log")).to_be_focused()


def test_a_long_log_opens_at_its_end_and_scrolls_anywhere(
    page: Page, long_log: SubmittedRun
) -> None:
    open_log(page, long_log)
    expect(text(page, _LONG)).to_be_in_viewport()
    expect(part(page, "facts")).to_contain_text("1,000,000 lines")
    log = page.get_by_role("log")
    for key, number in (("Home", 1), ("End", _LONG), ("Home", 1)):
        log.press(key)
        expect(row(page, number)).to_be_in_viewport()
    log.press("ArrowDown")
    expect(row(page, 1)).not_to_be_in_viewport()
    log.evaluate("log => { log.scrollTop = log.scrollHeight / 2; }")
    expect(page.locator(".log-row--missing")).to_have_count(0)
    expect(page.get_by_text(re.compile(r"^line (49|50)\d{4} of")).first).to_be_visible()
    assert page.locator(".log-row").count() < 200


def test_the_end_of_a_log_is_fetched_once_and_before_scripts_run(
    page: Page, long_log: SubmittedRun
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_log(page, long_log)
    expect(text(page, _LONG)).to_be_in_viewport()
    assert len([url for url in asked if "/log/lines?start=-" in url]) == 1
    entries = "performance.getEntriesByType('resource').map(entry => entry.toJSON())"
    fetched = [
        entry for entry in page.evaluate(entries) if "/log/lines?" in entry["name"]
    ]
    assert [entry["initiatorType"] for entry in fetched] == ["link"]


def test_a_log_that_can_not_be_fetched_is_tried_again(
    page: Page, long_log: SubmittedRun
) -> None:
    page.route("**/log/lines?*", lambda route: route.abort())
    open_log(page, long_log)
    expect(part(page, "status")).to_contain_text("It is tried again.")
    expect(part(page, "empty")).to_be_hidden()
    page.unroute("**/log/lines?*")
    expect(text(page, _LONG)).to_be_in_viewport()
    expect(part(page, "status")).to_have_text("Complete")


def test_the_log_fills_the_screen(page: Page, long_log: SubmittedRun) -> None:
    open_log(page, long_log)
    expect(text(page, _LONG)).to_be_in_viewport()
    fill = page.get_by_role("button", name="Fill the screen")
    fill.click()
    expect(fill).to_have_attribute("aria-pressed", "true")
    expect(page.locator("log-view")).to_have_css("border-radius", "0px")
    expect(text(page, _LONG)).to_be_in_viewport()
    page.get_by_role("log").press("z")
    expect(fill).to_have_attribute("aria-pressed", "false")


def test_the_server_searches_the_whole_log(page: Page, long_log: SubmittedRun) -> None:
    open_log(page, long_log, "#L100")
    page.get_by_role("log").press("/")
    query = page.get_by_role("searchbox", name="Search the log")
    expect(query).to_be_focused()
    query.fill("needle")
    # Before the search has been through the log.
    query.press("Enter")
    expect_hit(page, 500_000, "2 of 3 lines")
    query.press("Enter")
    expect_hit(page, 999_990, "3 of 3 lines")
    query.press("Enter")
    expect_hit(page, 17, "1 of 3 lines")
    page.get_by_role("button", name="Previous line found").click()
    expect_hit(page, 999_990, "3 of 3 lines")

    part(page, "hit-count").click()
    found = page.get_by_role("list", name="Lines found").get_by_role("button")
    expect(found).to_have_count(3)
    found.first.click()
    expect_hit(page, 17, "1 of 3 lines")

    page.get_by_role("button", name="Match case").click()
    expect(part(page, "hit-count")).to_have_text("No line")
    query.press("Escape")
    expect(page.get_by_role("log")).to_be_focused()
    expect(page.locator(".log-row mark")).to_have_count(0)


def test_what_a_search_finds_in_a_growing_log_grows(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    puppet.say("a needle\nhay\n")
    query = page.get_by_role("searchbox", name="Search the log")
    query.fill("needle")
    expect(part(page, "hit-count")).to_have_text("1 line")
    query.press("Enter")
    expect_hit(page, 1, "1 of 1 line")
    puppet.say("another needle\n")
    expect(part(page, "facts")).to_contain_text("3 lines")
    query.press("Enter")
    expect_hit(page, 3, "2 of 2 lines")


def test_long_lines_wrap_and_the_choice_is_kept(page: Page, puppet: Puppet) -> None:
    open_log(page, puppet.run)
    puppet.say("word " * 200 + "\nshort\n")
    expect(text(page, 2)).to_have_text("short")
    flat = height(row(page, 1))
    page.get_by_role("log").press("w")
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute(
        "aria-pressed", "true"
    )
    eventually(lambda: height(row(page, 1)) > 3 * flat, "the line is wrapped")
    page.reload()
    eventually(lambda: height(row(page, 1)) > 3 * flat, "the line is wrapped again")
    expect(text(page, 2)).to_be_in_viewport()


@pytest.mark.timeout(120)
def test_after_the_web_process_was_killed_the_log_goes_on_exactly(
    portal: Portal, page: Page, puppet: Puppet
) -> None:
    open_log(page, puppet.run)
    puppet.say("the log of a run, Größe 🚀\n")
    expect(text(page, 1)).to_be_visible()
    end = 0
    for _ in range(2):
        end += 20_000
        puppet.say(numbered(end - 19_999, end))
        old = portal.kill("web")
        # Not a whole line, and not a whole character.
        puppet.say(b"torn \xf0\x9f")
        portal.wait_for_new("web", old)
        puppet.say(b"\x9a\x80 line\n")
    puppet.end()
    expect(part(page, "status")).to_have_text("Complete")
    expect(part(page, "facts")).to_contain_text("40,003 lines")
    eventually(lambda: live_bytes(page) == len(puppet.said), "all bytes came")
    assert live_lines(page) == puppet.said.decode().split("\n")[:-1]
    assert puppet.run.log() == puppet.said
