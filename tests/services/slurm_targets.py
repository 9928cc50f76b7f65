"""Slurm clusters attached to a real portal, as the form attaches them."""

import re

import httpx

from tests.services.slurm import Slurm
from tests.waiting import eventually

NAME = "cluster"


def attach(client: httpx.Client, slurm: Slurm, **fields: str) -> str:
    """A target on the portal's machine, once it is checked; its key in submissions."""
    form = {"name": NAME, "machine": "1", "conf": str(slurm.conf), "max_runs": "50"}
    page = client.post("/compute/new/slurm/", data={**form, **fields})
    assert page.url.path == f"/compute/{NAME}/", page.text
    eventually(lambda: "Ready" in client.get(f"/compute/{NAME}/").text, "it is ready")
    before = client.get("/runs/new/").text.partition(f"<strong>{NAME}</strong>")[0]
    keys: list[str] = re.findall(r'name="target"\s+value="(\d+)"', before)
    return keys[-1]
