"""How long a printed line takes to those who watch."""

import json
import subprocess
import sys
import time

import httpx

from benchmarks.browsing import signed_in_page
from benchmarks.report import Figure, Section, milliseconds, percentile
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit

_LINES_A_SECOND = 20
_SECONDS = 20
# Prints the time, after waiting for all watchers to be there.
_SCRIPT = f"""
import time
from pathlib import Path
while not Path("go").exists():
    time.sleep(0.05)
for _ in range({_LINES_A_SECOND * _SECONDS}):
    print(f"{{time.time():.6f}}")
    time.sleep({1 / _LINES_A_SECOND})
"""
# Notes for each line in the log when it came to stand in the page.
_OBSERVE = """() => {
  window.seen = new Map();
  new MutationObserver(() => {
    const now = (performance.timeOrigin + performance.now()) / 1000;
    for (const row of document.querySelectorAll(".log-row__text")) {
      const text = row.textContent;
      if (!window.seen.has(text)) window.seen.set(text, now);
    }
  }).observe(document.querySelector(".log-view__rows"),
             { childList: true, subtree: true, characterData: true });
}"""


def measure(portal: Portal, client: httpx.Client) -> Section:
    figures = []
    for watchers in (1, 50, 200):
        late, shown = _watch(portal, client, watchers)
        figures.append(_figure(f"{watchers} sockets", late))
        figures.append(_figure(f"a page in Chromium beside {watchers} sockets", shown))
    return Section(
        title="From print to the browser",
        how=(
            f"A script prints its clock {_LINES_A_SECOND} times a second for"
            f" {_SECONDS} s. Sockets of another process, and one page in Chromium,"
            " compare it with theirs when the line has come (in the page: when its"
            " element is there)."
        ),
        figures=figures,
    )


def _figure(what: str, values: list[float]) -> Figure:
    p50, p99 = percentile(values, 50), percentile(values, 99)
    return Figure(
        what=f"print → {what}",
        value=f"p50 {milliseconds(p50)}, p99 {milliseconds(p99)}",
        against=f"{len(values)} lines",
        aim="p99 ≤ 100 ms",
    )


def _watch(
    portal: Portal, client: httpx.Client, watchers: int
) -> tuple[list[float], list[float]]:
    """The seconds that lines took to sockets, and to a page."""
    run = submit(portal, client, script=_SCRIPT)
    run.wait_for("Running")
    cookie = "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)
    address = portal.url.replace("http", "ws") + f"/ws/runs/{run.run_id}/"
    command = [sys.executable, "-m", "benchmarks.watchers"]
    with (
        signed_in_page(portal, client) as page,
        subprocess.Popen(
            [*command, address, portal.url, str(watchers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{cookie}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        page.goto(f"{portal.url}/runs/{run.run_id}/?tab=log")
        page.wait_for_selector(".log-view__rows", state="attached")
        page.evaluate(_OBSERVE)
        time.sleep(1)
        _go(portal, run)
        late: list[float] = json.loads(process.stdout.readline())
        run.wait_for_end()
        page.wait_for_timeout(500)
        seen: list[tuple[str, float]] = page.evaluate("[...window.seen]")
    return late, [at - float(text) for text, at in seen if _is_time(text)]


def _go(portal: Portal, run: SubmittedRun) -> None:
    (portal.data / "jobs" / run.run_id / "work" / "go").touch()


def _is_time(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
