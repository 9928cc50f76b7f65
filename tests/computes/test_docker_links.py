"""What a script in a container of a real engine gets at of the host: nothing."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from computes.runner.runner import identity
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
# Says that a process of the host is the job's own, which is not in a container.
FORGES = """
import json, os, time
os.chdir("..")
for attempt in (
    lambda: open("job.json", "w"),
    lambda: os.unlink("job.json"),
    lambda: os.replace("events.jsonl", "job.json"),
):
    try:
        attempt()
        print("it is rewritten")
    except OSError:
        pass
os.unlink("runner.json")
with open("runner.json", "w") as file:
    json.dump({victim!r}, file)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def dock(docker_engine: DockerEngine, tmp_path: Path) -> Dock:
    return Dock.here(docker_engine, tmp_path)


@pytest.fixture
def victim() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_script_has_no_process_of_the_host_ended(
    dock: Dock, victim: "subprocess.Popen[bytes]"
) -> None:
    who = {**identity(victim.pid), "child": identity(victim.pid), "apart": False}
    job = dock.started(FORGES.replace("{victim!r}", repr(who)))
    job.says("ready")
    assert job.log == "ready\n"
    assert dock.host.state(job.name)["state"] == "running"
    dock.host.cancel(job.name, grace_seconds=0, reason="Canceled.")
    job.launcher.end(job.name)
    dock.host.cancel(job.name, grace_seconds=0, reason="Canceled.")
    assert job.last_word()["reason"] == "canceled"
    assert victim.poll() is None


def test_links_that_a_script_leaves_lead_nowhere(dock: Dock, tmp_path: Path) -> None:
    jobs, host = dock.jobs, dock.host
    secret = tmp_path / "vault_keys"
    secret.write_text("what no script may see")
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
