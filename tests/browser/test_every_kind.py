"""The same script, the same output: a target of each kind, attached and run on.

With `--pictures` it takes those of the README's tour into docs/pictures.
"""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import attaching
from tests.browser.dropping import drop
from tests.browser.visiting import Picture, sign_in
from tests.services.docker_engine import DockerEngine
from tests.services.portal import ROOT, Portal
from tests.services.runs import SubmittedRun
from tests.services.slurm import Slurm
from tests.services.spark import SparkCluster
from tests.services.sshd import Sshd

_EPOCHS = 3
_SPARK_DIGITS = ROOT / "examples/spark_digits"
# How long an epoch took is all that differs.
_SECONDS = re.compile(r"\(\d+\.\d+ s\)")


@pytest.mark.timeout(300)
def test_the_same_script_on_a_target_of_each_kind(
    portal: Portal,
    page: Page,
    sshd: Sshd,
    docker_engine: DockerEngine,
    slurm: Slurm,
    spark_cluster: SparkCluster,
    picture: Picture,
    trouble: list[str],
    tmp_path: Path,
) -> None:
    page.set_default_timeout(20_000)
    expect.set_options(timeout=30_000)
    page.set_viewport_size({"width": 1280, "height": 860})
    sign_in(page, portal)
    attach_a_machine(page, portal, sshd, tmp_path / "far", picture)
    attaching.begin(page, portal, "Docker")
    attaching.attach_docker(page, docker_engine, "containers", machine="gpu-box")
    attaching.expect_ready(page)
    attaching.begin(page, portal, "Slurm")
    attaching.attach_slurm(page, slurm, "cluster", machine="gpu-box")
    attaching.expect_ready(page)
    attaching.begin(page, portal, "Spark")
    attaching.attach_spark(page, spark_cluster, "sparks", machine="local")
    attaching.expect_ready(page)
    look_at_all(page, portal, picture)

    here = run_digits(page, portal, "local")
    for target in ("gpu-box", "containers", "cluster"):
        there = run_digits(page, portal, target)
        assert results(there) == results(here), target
        if target == "gpu-box":
            expect_files_to_travel(page, portal, there)
    run_spark_digits(page, portal, "sparks")
    assert not trouble


def attach_a_machine(
    page: Page, portal: Portal, sshd: Sshd, root: Path, picture: Picture
) -> None:
    attaching.begin(page, portal, "Remote machine")
    attaching.fill_machine(page, sshd, "gpu-box", root)
    attaching.look_at_host_key(page)
    picture("attach")
    attaching.trust_host_key(page)
    attaching.expect_ready(page)
    # It can be asked for again.
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("Being checked", exact=True)).to_be_visible()
    attaching.expect_ready(page)


def look_at_all(page: Page, portal: Portal, picture: Picture) -> None:
    page.goto(f"{portal.url}/compute/")
    for name in ("local", "gpu-box", "containers", "cluster", "sparks"):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name))
        expect(row.first).to_contain_text("Ready")
    picture("targets")


def run_digits(page: Page, portal: Portal, target: str) -> SubmittedRun:
    page.goto(f"{portal.url}/runs/new/?example=digits")
    page.get_by_label("As a command line").fill(f"--epochs {_EPOCHS} --hidden 32")
    return watch(page, portal, target)


def expect_files_to_travel(page: Page, portal: Portal, run: SubmittedRun) -> None:
    page.goto(f"{portal.url}/runs/{run.run_id}/?tab=overview")
    expect(page.get_by_text("Portal to gpu-box: 3 of 3 files new")).to_be_visible()


def run_spark_digits(page: Page, portal: Portal, target: str) -> None:
    page.goto(f"{portal.url}/runs/new/")
    drop(page, page.locator("source-drop"), _SPARK_DIGITS)
    expect(page.get_by_role("combobox", name="Script")).to_have_value("train.py")
    page.get_by_role("combobox", name="Experiment").fill("digits")
    run = watch(page, portal, target)
    figures = json.loads(run.output("outputs/metrics.json"))
    assert figures["tests"] == 450
    assert f"{figures['accuracy']:.2%} of the test images" in run.log().decode()


def watch(page: Page, portal: Portal, target: str) -> SubmittedRun:
    """Submit what the form has, and see the log come in on the page it leads to."""
    page.get_by_role("radio", name=re.compile(f"^{target}")).check()
    # The same as code; a request that is cut off would be told in the console.
    preview = page.locator("#submit-preview")
    expect(preview).to_contain_text(f"compute_target='{target}'")
    page.get_by_role("button", name="Submit run").last.click()
    rows = page.locator(".log-row__text")
    expect(rows.filter(has_text="images to learn from")).to_be_visible(timeout=60_000)
    expect(page.locator(".run-line .status")).to_contain_text("Running")
    expect(rows.filter(has_text="were read correctly")).to_be_visible(timeout=60_000)
    expect(page.locator(".run-line .status")).to_contain_text("Completed")
    return SubmittedRun(portal=portal, run_id=page.url.rstrip("/").split("/")[-1])


def results(run: SubmittedRun) -> list[object]:
    """What the script has printed and written, but for how long that took."""
    history = csv.DictReader(run.output("outputs/history.csv").splitlines())
    epochs = [{**epoch, "seconds": ""} for epoch in history]
    assert len(epochs) == _EPOCHS
    written = [run.output(f"outputs/{name}") for name in ("metrics.json", "report.md")]
    return [_SECONDS.sub("", run.log().decode()), epochs, *written]
