"""Attach compute targets of each kind through their forms, as an administrator does."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON
from tests.services.docker_targets import with_packages
from tests.services.portal import Portal
from tests.services.slurm import Slurm
from tests.services.spark import CONF, SparkCluster
from tests.services.sshd import Sshd


def begin(page: Page, portal: Portal, kind: str) -> None:
    """To the form of a kind, from the list of targets."""
    page.goto(f"{portal.url}/compute/")
    page.get_by_role("link", name="Attach", exact=True).click()
    page.get_by_role("link", name=kind).click()


def fill(page: Page, fields: Mapping[str, str]) -> None:
    page.get_by_text("More settings").click()
    for label, text in fields.items():
        page.get_by_label(label, exact=True).fill(text)


def fill_machine(page: Page, sshd: Sshd, name: str, root: Path) -> None:
    fields = {
        "Name": name,
        "Address": "127.0.0.1",
        "SSH port": str(sshd.port),
        "User name": sshd.user,
        "Private key": sshd.private_key,
        "Working folder": str(root),
        "Python": sys.executable,
    }
    fill(page, fields)


def look_at_host_key(page: Page) -> None:
    page.get_by_role("button", name="Next: look at its host key").click()
    expect(page.locator(".host-key")).to_have_text(re.compile("^SHA256:"))


def trust_host_key(page: Page) -> None:
    page.get_by_role("button", name="It is: trust this key").click()


def attach_docker(page: Page, engine: DockerEngine, name: str, machine: str) -> None:
    mounts = with_packages()
    fields = {
        "Name": name,
        "Socket": str(engine.socket),
        "Default image": PYTHON,
        "Python": mounts["python"],
        "Network": "none",
        "Extra mounts": mounts["mounts"],
    }
    _attach(page, machine, fields)


def attach_slurm(page: Page, slurm: Slurm, name: str, machine: str) -> None:
    fields = {"Name": name, "slurm.conf": str(slurm.conf), "Partition": "cpu"}
    _attach(page, machine, fields)


def attach_spark(page: Page, cluster: SparkCluster, name: str, machine: str) -> None:
    fields = {
        "Name": name,
        "Master": cluster.master,
        "Web page of the master": cluster.web_ui,
        "Configuration": "\n".join(f"{key}={value}" for key, value in CONF.items()),
    }
    _attach(page, machine, fields)


def _attach(page: Page, machine: str, fields: Mapping[str, str]) -> None:
    fill(page, fields)
    page.get_by_label("Machine", exact=True).select_option(label=machine)
    page.get_by_role("button", name="Attach and check").click()


def expect_ready(page: Page) -> None:
    """All checks come in without a reload, and all are fine."""
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    checks = page.locator(".check")
    expect(checks.filter(has_text="Fine:")).to_have_count(checks.count())
