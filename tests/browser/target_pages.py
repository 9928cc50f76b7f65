"""The pages of compute targets of each kind, for those who look at all pages.

Nothing answers at these targets, so that what is wrong with them is shown, too.
"""

import re
from collections.abc import Iterator

import httpx
from playwright.sync_api import Page, expect

from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit

_LONG = "a_very_long_name_without_any_place_to_break_it" * 2
# What is typed into the form of each kind, and for a run on such a target.
_FORMS: dict[str, dict[str, str]] = {
    "ssh": {
        "address": f"{_LONG}.example",
        "port": "22",
        "user": "anna",
        "password": "a password",
        "root": f"~/{_LONG}",
        "python": "python3",
    },
    "docker": {
        "socket": "/nowhere/docker.sock",
        "image": f"registry.example/{_LONG}:1",
        "python": "python3",
        "network": "none",
        "mounts": f"/{_LONG}:/{_LONG}:ro",
    },
    "slurm": {
        "partition": "cpu",
        "extra": f"--constraint={_LONG}",
        "conf": f"/{_LONG}",
    },
    "spark": {"master": "spark://127.0.0.1:9", "conf": f"spark.x={_LONG}"},
}
_OPTIONS = {
    "docker": {"image": f"{_LONG}:2"},
    "slurm": {"nodes": "2", "memory": "16G"},
    "spark": {"executor_cores": "2", "conf": f"spark.y={_LONG}"},
}


def attach_all(portal: Portal) -> dict[str, SubmittedRun]:
    """Attach a target of each kind, named like it; runs that wait for them by kind."""
    client = portal.sign_in()
    for kind, fields in _FORMS.items():
        form = {"name": f"{kind}-target", "machine": "1", "max_runs": "1", **fields}
        page = client.post(f"/compute/new/{kind}/", data=form)
        assert f"/compute/{kind}-target/" in page.url.path, page.text
    return {kind: _wait_for(portal, client, kind) for kind in _OPTIONS}


def _wait_for(portal: Portal, client: httpx.Client, kind: str) -> SubmittedRun:
    page = client.get("/runs/new/").text
    before = page.partition(f"<strong>{kind}-target</strong>")[0]
    key = re.findall(r'name="target"\s+value="(\d+)"', before)[-1]
    options = {f"{kind}-{name}": value for name, value in _OPTIONS[kind].items()}
    fields = {"target": key, **options}
    return submit(portal, client, script="print()", arguments=(), token="", **fields)


def addresses(runs: dict[str, SubmittedRun]) -> list[str]:
    return [
        "/compute/",
        "/compute/new/",
        "/compute/ssh-target/host-key/",
        *(f"/compute/{kind}-target/" for kind in _FORMS),
        "/compute/docker-target/edit/",
        "/compute/spark-target/queue/",
        "/compute/local/leftovers/",
        "/compute/slurm-target/leftovers/",
        *(f"/runs/{run.run_id}/?tab=configuration" for run in runs.values()),
        f"/runs/{runs['spark'].run_id}/?tab=overview",
    ]


def states(page: Page, url: str) -> Iterator[str]:
    """Bring the page into each state that has no address; what it is called."""
    for kind in _FORMS:
        page.goto(f"{url}/compute/new/{kind}/")
        page.locator(".form-card form").evaluate("form => form.noValidate = true")
        page.get_by_label("Name", exact=True).fill("?")
        page.locator(".form-card").get_by_role("button").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was saved yet")
        yield f"a form of {kind} with errors"
    page.goto(f"{url}/runs/new/")
    for kind in _OPTIONS:
        page.get_by_role("radio", name=re.compile(f"^{kind}-target")).check()
        expect(page.locator(f"[data-options={kind}]")).to_be_visible()
        yield f"a submission to {kind}"
