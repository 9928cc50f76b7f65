"""A real portal with a real Slurm cluster: the same script, whatever is restarted."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.services.portal import ROOT, Portal
from tests.services.runs import SubmittedRun, submit, upload
from tests.services.slurm import Slurm
from tests.services.slurm_targets import attach
from tests.waiting import eventually

DIGITS = ROOT / "examples/digits"
CHATTY = Path(__file__).with_name("chatty.py").read_text()
ARGUMENTS = ("--epochs", "2")


@pytest.fixture(scope="module")
def client(portal: Portal) -> Iterator[httpx.Client]:
    client = portal.sign_in()
    yield client
    client.close()


@pytest.fixture(scope="module")
def cluster(client: httpx.Client, slurm_of_all: Slurm) -> str:
    return attach(client, slurm_of_all)


def test_the_example_has_the_same_results_as_on_this_machine(
    portal: Portal, client: httpx.Client, cluster: str, slurm: Slurm
) -> None:
    files = {path.name: path.read_bytes() for path in DIGITS.iterdir()}
    snapshot = upload(client, files)
    here, there = (
        submit(portal, client, snapshot=snapshot, arguments=ARGUMENTS, target=target)
        for target in ("1", cluster)
    )
    assert (here.wait_for_end(), there.wait_for_end()) == ("Completed", "Completed")
    assert results(here) == results(there)
    assert len(slurm.ids(f"aml-{there.run_id}")) == 1


def test_why_a_run_waits_is_on_its_page(
    portal: Portal, client: httpx.Client, cluster: str, slurm: Slurm
) -> None:
    much = {"slurm-cpus": "64", "target": cluster}
    run = submit(portal, client, **much)  # type: ignore[arg-type]
    page = f"/runs/{run.run_id}/"
    eventually(lambda: "Pending: it asks for more" in client.get(page).text, "told")
    client.post(f"/runs/{run.run_id}/cancel/")
    assert run.wait_for_end() == "Canceled"
    name = f"aml-{run.run_id}"
    eventually(lambda: slurm.jobs(name) == ["CANCELLED"], "Slurm's job is gone")


def test_a_portal_that_is_killed_loses_no_byte_and_starts_nothing_twice(
    portal: Portal, client: httpx.Client, cluster: str, slurm: Slurm
) -> None:
    run = submit(portal, client, script=CHATTY, arguments=("7", "3"), target=cluster)
    eventually(run.log, "the script prints")
    portal.stop(signal.SIGKILL)
    portal.start()
    # Its exit code is by chance.
    assert run.wait_for_end() in ("Completed", "Failed")
    assert run.log_digest() == run.output("outputs/printed.txt")
    assert len(slurm.ids(f"aml-{run.run_id}")) == 1


def results(run: SubmittedRun) -> dict[str, object]:
    """What the script says it has reached, but for how long that took."""
    found = json.loads(run.output("outputs/metrics.json"))
    return {name: value for name, value in found.items() if "second" not in name}
