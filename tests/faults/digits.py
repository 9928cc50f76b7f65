"""The example of digits, trained on several targets of a real portal."""

import json

import httpx

from tests.services.portal import ROOT, Portal
from tests.services.runs import SubmittedRun, submit, upload

_FOLDER = ROOT / "examples/digits"


def train(portal: Portal, client: httpx.Client, *targets: str) -> list[SubmittedRun]:
    """A run on each, all of the same snapshot, once they are completed."""
    files = {path.name: path.read_bytes() for path in _FOLDER.iterdir()}
    snapshot = upload(client, files)
    words = ("--epochs", "2")
    runs = [
        submit(portal, client, snapshot=snapshot, arguments=words, target=target)
        for target in targets
    ]
    for run in runs:
        assert run.wait_for_end() == "Completed", run.column("error")
    return runs


def results(run: SubmittedRun) -> dict[str, object]:
    """What the script says it has reached, but for how long that took."""
    found = json.loads(run.output("outputs/metrics.json"))
    return {name: value for name, value in found.items() if "second" not in name}
