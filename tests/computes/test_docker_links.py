"""What a script in a container of a real engine gets at of the host: nothing."""

import json
from contextlib import closing
from pathlib import Path

from computes.hosts.local import LocalHost
from tests.computes.docker_jobs import Dock
from tests.computes.follower import Following
from tests.services.docker_engine import DockerEngine

# Leads the runner outside to `secret`, wherever that looks for something of the job.
LEADS = """
import os, shutil
secret, folder = {secret!r}, os.path.dirname(os.getcwd())
os.makedirs("outputs", exist_ok=True)
os.symlink(secret, "outputs/secret.txt")
os.symlink(os.path.dirname(secret), "outputs/host")
for name in ("logs/std_log.txt", "events.jsonl", "resources.jsonl", "runner.lock"):
    path = os.path.join(folder, name)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(secret, path)
for number in range(1, 40_000):
    os.symlink(secret, os.path.join(folder, "cancel.json.%d" % number))
os.mkdir(os.path.join(folder, "led"))
while True:
    pass
"""


def test_links_that_a_script_leaves_lead_nowhere(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs"
    secret = tmp_path / "vault_keys"
    secret.write_text("what no script may see")
    host, client = LocalHost(jobs), docker_engine.client()
    store = tmp_path / "store"
    dock = Dock(host=host, jobs=jobs, store=store, engine=docker_engine, client=client)
    job = dock.started(LEADS.format(secret=str(secret)))
    with closing(Following(jobs)) as following:
        following.tell(watch=job.name, have={}, files={})
        job.wait((job.folder / "led").exists, "the script has led everybody astray")
        host.cancel(job.name, grace_seconds=0, reason="Canceled.")
        job.launcher.end(job.name)
        following.until(lambda: job.name in following.finals, "its last word")
    sent = [*map(bytes, following.files.values()), *following.outputs.values()]
    assert b"no script may see" not in b"".join(sent)
    assert "no script may see" not in json.dumps(following.finals)
    assert secret.read_text() == "what no script may see"
    host.clean(job.name)
    assert not job.folder.exists()
