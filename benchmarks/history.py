"""Pages of the history with a hundred thousand runs."""

import time

import httpx

from benchmarks.report import Figure, Section, spread
from tests.services.portal import Portal

_COUNT = 100_000
_ROUNDS = 7
_PAGES = {
    "all runs": "",
    "failed": "state=Failed",
    "one experiment, by duration": "experiment=experiment-7&sort=-duration",
    "one person, by name": "user=user-3&sort=name",
    "by owner": "sort=owner",
    "by duration": "sort=-duration",
    "a tag, by target": "tag=model%3Dcnn&sort=target",
    "text that is in 25,000": "text=sweep",
    "text that is in none": "text=nothing-like-it",
    "a year, by duration": "since=2025-01-01&until=2025-12-31&sort=duration",
}


def measure(portal: Portal, client: httpx.Client) -> Section:
    figures = [_figure(client, "all runs, while there are few", "")]
    portal.manage(
        "shell", "-v0", "-c", f"from benchmarks.seed import seed; seed({_COUNT})"
    )
    figures += [_figure(client, what, query) for what, query in _PAGES.items()]
    return Section(
        title=f"The history with {_COUNT:,} runs",
        how=(
            "A whole page over HTTP: 50 runs, the filters, and the number of all that"
            " match."
        ),
        figures=figures,
    )


def _figure(client: httpx.Client, what: str, query: str) -> Figure:
    times = []
    for _ in range(_ROUNDS + 1):
        begin = time.perf_counter()
        answer = client.get(f"/runs/?{query}")
        times.append(time.perf_counter() - begin)
        assert answer.status_code == 200
    return Figure(what=what, value=spread(times[1:]), aim="≤ 100 ms")
