"""A real portal with a real Slurm cluster: the same script, whatever is restarted."""

import signal
from pathlib import Path

import httpx
import pytest

from tests.faults.digits import results, train
from tests.services.portal import Portal
from tests.services.runs import submit
from tests.services.slurm import Slurm
from tests.services.slurm_targets import attach
from tests.waiting import eventually

CHATTY = Path(__file__).with_name("chatty.py").read_text()


@pytest.fixture(scope="module")
def cluster(client: httpx.Client, slurm_of_all: Slurm) -> str:
    return attach(client, slurm_of_all)


def test_the_example_has_the_same_results_as_on_this_machine(
    portal: Portal, client: httpx.Client, cluster: str, slurm: Slurm
) -> None:
    here, there = train(portal, client, "1", cluster)
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
