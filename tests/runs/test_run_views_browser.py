"""What only a browser shows of the run page: it stays true without a reload."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, set_places, submit, upload, zipped

_WAITS = "import time\nprint('ready', flush=True)\ntime.sleep(600)\n"
_PIXEL = (
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360f8cfc0f01f0005000201a57a2ea80000000049454e44ae426082"
)
_REPORT = """
# Report
| a | b |
|---|---|
| 1 | 2 |

- [x] done
- [ ] open

![own](plots/loss.png) ![foreign](https://example.org/x.png)
[table](history.csv) [bad](javascript:alert(1)) [out](https://example.org/)

<script>document.title = "taken"</script>
<img src="plots/loss.png" onerror="document.title = 'taken'" style="width: 9px">
<form action="/runs/"><input name="password"><button>Sign in</button></form>
<a href="javascript:document.title='taken'" onclick="alert(1)">raw</a>
<iframe src="https://example.org/"></iframe>
"""


@pytest.fixture(scope="module")
def client(portal: Portal) -> httpx.Client:
    return portal.sign_in()


@pytest.fixture
def trouble(page: Page, portal: Portal, client: httpx.Client) -> Iterator[list[str]]:
    """Sign the page in; what its browser complains of must be nothing."""
    page.context.add_cookies(
        [
            {"name": cookie.name, "value": cookie.value or "", "url": portal.url}
            for cookie in client.cookies.jar
        ]
    )
    page.set_default_timeout(20_000)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type == "error" else None,
    )
    yield said
    assert not said


def open_run(page: Page, run: SubmittedRun, tab: str = "log") -> None:
    page.goto(f"{run.portal.url}/runs/{run.run_id}/?tab={tab}")


@pytest.mark.usefixtures("trouble")
def test_a_run_that_waits_tells_when_fewer_are_ahead(
    portal: Portal, client: httpx.Client, page: Page
) -> None:
    set_places(portal, 1)
    snapshot = upload(client, {"train.py": _WAITS})
    first, second, third = (submit(portal, client, snapshot=snapshot) for _ in range(3))
    first.wait_for("Running")
    open_run(page, third)
    expect(page.locator("#run-status")).to_contain_text("1 run is ahead")
    client.post(f"/runs/{second.run_id}/cancel/")
    expect(page.locator("#run-status")).to_contain_text("this run is the next")
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog", name="Cancel this run?")
    expect(dialog).to_contain_text("It has not begun yet")
    client.post(f"/runs/{first.run_id}/cancel/")
    third.wait_for("Running")
    expect(page.locator(".log-row__text").first).to_have_text("ready")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".run-line .status")).to_have_text(re.compile("Running"))
    expect(page.locator("[data-announce]")).to_have_text("The run's state is: Running.")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".run-line .status")).to_have_text(re.compile("Canceled"))


@pytest.mark.usefixtures("trouble")
def test_markdown_is_shown_and_does_nothing(
    portal: Portal, client: httpx.Client, page: Page
) -> None:
    script = f"""
import pathlib
outputs = pathlib.Path("outputs")
(outputs / "plots").mkdir()
(outputs / "plots" / "loss.png").write_bytes(bytes.fromhex({_PIXEL!r}))
(outputs / "report.md").write_text({_REPORT!r})
(outputs / "history.csv").write_text("epoch,loss\\n1,0.5\\n")
"""
    run = submit(portal, client, script=script)
    assert run.wait_for_end() == "Completed"
    open_run(page, run, "outputs")
    shown = page.locator("markdown-view")
    expect(shown.get_by_role("heading", name="Report")).to_be_visible()
    expect(shown.get_by_role("cell", name="2")).to_be_visible()
    expect(shown.get_by_role("checkbox")).to_have_count(2)
    expect(shown.get_by_role("checkbox").first).to_be_disabled()
    own = shown.get_by_alt_text("own")
    assert own.evaluate("picture => picture.decode().then(() => picture.naturalWidth)")
    foreign = shown.get_by_role("link", name="foreign")
    expect(foreign).to_have_attribute("rel", re.compile("noopener"))
    for name in ("bad", "raw"):
        expect(shown.get_by_text(name)).not_to_have_attribute("href", re.compile(""))
    expect(
        shown.locator("script, iframe, form, button, [onerror], [style]")
    ).to_have_count(0)
    expect(shown.locator("input:not([type=checkbox])")).to_have_count(0)
    assert "taken" not in page.title()
    shown.get_by_role("link", name="table").click()
    expect(page.get_by_role("columnheader", name="loss")).to_be_visible()


@pytest.mark.usefixtures("trouble")
def test_arguments_as_rows_and_as_a_line_stay_in_step(
    portal: Portal, client: httpx.Client, page: Page
) -> None:
    page.goto(f"{portal.url}/runs/new/")
    archive: FilePayload = {
        "name": "mine.zip",
        "mimeType": "application/zip",
        "buffer": zipped({"pkg/main.py": "", "pkg/other.py": ""}),
    }
    page.locator("[data-part=archive]:not([name])").set_input_files(archive)
    expect(page.get_by_role("combobox", name="Script")).to_have_value("main.py")
    line = page.get_by_label("As a command line")
    line.fill("--name 'two words'")
    rows = page.get_by_role("list", name="Arguments").locator("textarea")
    expect(rows).to_have_count(2)
    rows.nth(1).fill("it's\n$(id)")
    expect(line).to_have_value("--name 'it'\"'\"'s\n$(id)'")
    rows.nth(1).press("Alt+ArrowUp")
    expect(rows.nth(0)).to_be_focused()
    page.get_by_role("combobox", name="Experiment").fill("steps")
    line.fill("'open")
    expect(page.locator("[data-reason]")).to_contain_text("a quote is not closed")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("/runs/new/$"))
    line.fill("--name 'two words' --empty ''")
    expect(page.locator("#submit-preview")).to_contain_text(
        "arguments=['--name', 'two words', '--empty', '']"
    )
    page.get_by_label(".runconfig").check()
    expect(page.locator("#submit-preview")).to_contain_text("- two words")
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("/runs/steps_"))
    run = SubmittedRun(portal, page.url.rstrip("/").rpartition("/")[2])
    kept = json.loads(run.column("script_run_configuration"))
    assert kept["arguments"] == ["--name", "two words", "--empty", ""]


@pytest.mark.usefixtures("trouble")
def test_enter_on_the_box_of_a_run_does_nothing(
    portal: Portal, client: httpx.Client, page: Page
) -> None:
    """It would press the first button of the form around the list."""
    run = submit(portal, client, script="print(1)")
    run.wait_for_end()
    page.goto(f"{portal.url}/runs/")
    box = page.locator(f"tr[data-run='{run.run_id}'] input[name=run]")
    box.check()
    box.press("Enter")
    expect(page.locator("[data-selected]")).to_have_text("1 run selected.")
    page.locator(".bulk-tag summary").click()
    page.locator("#bulk-tag-name").fill("best")
    page.locator("#bulk-tag-name").press("Enter")
    expect(page.get_by_text("1 run got the tag “best”.")).to_be_visible()
