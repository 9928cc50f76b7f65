"""Slurm clusters attached to a real portal, as the form attaches them."""

import httpx

from tests.services.slurm import Slurm
from tests.services.targets import ready_key

NAME = "cluster"


def attach(client: httpx.Client, slurm: Slurm, **fields: str) -> str:
    """A target on the portal's machine, once it is checked; its key in submissions."""
    form = {"name": NAME, "machine": "1", "conf": str(slurm.conf), "max_runs": "50"}
    page = client.post("/compute/new/slurm/", data={**form, **fields})
    assert page.url.path == f"/compute/{NAME}/", page.text
    return ready_key(client, NAME)
