"""A real portal with a real Docker engine: the same script, whatever is restarted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.faults.digits import results, train
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON
from tests.services.docker_targets import attach, with_packages
from tests.services.portal import ROOT, Portal
from tests.services.runs import SubmittedRun, submit
from tests.waiting import eventually

CHATTY = Path(__file__).with_name("chatty.py").read_text()


@pytest.fixture(scope="module")
def whale(client: httpx.Client, docker_engine: DockerEngine) -> str:
    return attach(client, docker_engine, **with_packages())


def test_the_example_has_the_same_results_as_on_this_machine(
    portal: Portal, client: httpx.Client, whale: str
) -> None:
    here, there = train(portal, client, "1", whale)
    assert results(here) == results(there)


def test_a_portal_that_is_killed_loses_no_byte_and_starts_nothing_twice(
    portal: Portal,
    client: httpx.Client,
    whale: str,
    docker_engine: DockerEngine,
) -> None:
    run = submit(portal, client, script=CHATTY, arguments=("7", "3"), target=whale)
    eventually(run.log, "the script prints")
    made = _containers(docker_engine, run)
    portal.stop(signal.SIGKILL)
    portal.start()
    run.wait_for_end()
    assert run.exit_record()["reason"] == "exited"
    assert run.log_digest() == run.output("outputs/printed.txt")
    eventually(lambda: not _containers(docker_engine, run), "the container is removed")
    assert len(made) == 1


def test_a_worker_that_is_killed_while_it_builds_an_image_is_made_up_for(
    portal: Portal, client: httpx.Client, whale: str, docker_engine: DockerEngine
) -> None:
    slow = _environment(portal, "slow", "echo begun && sleep 5")
    run = submit(portal, client, target=whale, environment=slow)
    eventually(lambda: b"\nbegun" in run.log(), "the build has begun")
    os.kill(portal.pids()["worker"], signal.SIGKILL)
    assert run.wait_for_end() == "Completed"
    assert run.log().count(b"\nbegun") == 2
    sentences = [sentence for _, sentence in run.events()]
    assert any(each.startswith("Its environment was built") for each in sentences)
    assert _builds(docker_engine) == []


def test_a_build_without_end_keeps_no_other_run_waiting(
    portal: Portal, client: httpx.Client, whale: str, docker_engine: DockerEngine
) -> None:
    """Of the one worker that there is."""
    endless = _environment(portal, "endless", "echo begun && sleep 600")
    stuck, waits = (
        submit(portal, client, target=whale, environment=endless) for _ in range(2)
    )
    eventually(lambda: b"\nbegun" in stuck.log() + waits.log(), "the build has begun")
    other = submit(portal, client, target=whale)
    assert other.wait_for_end() == "Completed"
    eventually(
        lambda: b"this one waits" in stuck.log() + waits.log(), "the other waits"
    )
    for run in (stuck, waits):
        client.post(f"/runs/{run.run_id}/cancel/")
        assert run.wait_for_end() == "Canceled"
    eventually(lambda: _builds(docker_engine) == [], "the build is ended there")


def _environment(portal: Portal, name: str, step: str) -> str:
    """A Dockerfile with a step; the key of the environment."""
    code = (
        "from environments.definition import Definition\n"
        "from environments.services import save_environment\n"
        f"text = 'FROM {PYTHON}\\nRUN {step}'\n"
        "value = {**Definition.user_managed().to_json(),"
        " 'docker': {'baseDockerfile': text}}\n"
        "definition = Definition.from_json(value)\n"
        f"made = save_environment(name='{name}', definition=definition)\n"
        "print('key', made.pk)"
    )
    command = [sys.executable, "manage.py", "shell", "-c", code]
    said = subprocess.run(
        command, cwd=ROOT, env=portal.env, check=True, capture_output=True, text=True
    )
    return said.stdout.split()[-1]


def _builds(engine: DockerEngine) -> list[str]:
    """The containers of builds: those have no name of a job."""
    there = engine.client().containers.list(all=True, ignore_removed=True)
    return [name for each in there if not (name := str(each.name)).startswith("aml-")]


def _containers(engine: DockerEngine, run: SubmittedRun) -> list[str]:
    found = engine.client().containers.list(
        all=True, filters={"name": run.run_id}, ignore_removed=True
    )
    return [str(each.id) for each in found]
