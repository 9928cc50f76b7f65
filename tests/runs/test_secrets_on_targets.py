"""The secrets of runs on targets of every kind: who has them, and who has not."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from django.test import override_settings

from computes.models import ComputeTarget
from runs import execution, services
from runs.mirror import log_path, mirror_folder
from runs.models import Run
from runs.secrets import keep_secret
from runs.status import RunStatus
from tests import factories
from tests.environments.wheels import Wheels
from tests.runs.built_images import environment
from tests.services.docker_engine import DockerEngine
from tests.services.docker_images import PYTHON
from tests.services.leaks import leaks
from tests.services.monitor import Monitor, job_folder, placed, started
from tests.services.redis import RedisServer
from tests.services.slurm import Slurm
from tests.services.spark_targets import attach

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.spark import SparkCluster

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]
SECRET = "correct-horse-battery-staple"
# Each rank of several says the same; the last line shows that it had the value.
SAYS = """
import os, sys, time
{before}
token = os.environ["TOKEN"]
print("it is", token, flush=True)
for letter in token + "\\n":
    sys.stderr.write(letter)
    sys.stderr.flush()
while not os.path.exists({go!r}):
    time.sleep(0.05)
print(len(token), "letters", flush=True)
"""
SPARK = "from pyspark.sql import SparkSession; SparkSession.builder.getOrCreate()"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A target, what its runs ask for, and the folders of what starts them."""

    target: ComputeTarget
    launch: dict[str, Any] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    engine: docker.DockerClient | None = None
    # Whether a file that is put into the job's folder is seen by the script.
    is_apart: bool = False
    before: str = ""


def _process(_: pytest.FixtureRequest) -> Place:
    return Place(target=factories.target(max_runs=50))


def _docker(request: pytest.FixtureRequest, **fields: object) -> Place:
    engine: DockerEngine = request.getfixturevalue("docker_engine")
    return Place(
        target=factories.docker_target(engine, **fields),
        folders=(engine.folder / "data/containers",),
        engine=engine.client(),
        is_apart="copies" in fields,
    )


def _copying(request: pytest.FixtureRequest) -> Place:
    return _docker(request, copies="on")


def _slurm(request: pytest.FixtureRequest, **launch: int) -> Place:
    slurm: Slurm = request.getfixturevalue("slurm")
    target = factories.cluster(slurm)
    return Place(target=target, launch=launch, folders=(slurm.folder,))


def _ranks(request: pytest.FixtureRequest) -> Place:
    return _slurm(request, nodes=2, tasks_per_node=1)


def _spark(request: pytest.FixtureRequest) -> Place:
    cluster: SparkCluster = request.getfixturevalue("spark_cluster")
    return Place(target=attach(cluster), folders=(cluster.folder,), before=SPARK)


@pytest.fixture(params=[_process, _docker, _copying, _slurm, _ranks, _spark])
def place(request: pytest.FixtureRequest) -> Place:
    make: Callable[[pytest.FixtureRequest], Place] = request.param
    return make(request)


def log_of(run: Run) -> str:
    path = log_path(run.run_id)
    return path.read_text() if path.exists() else ""


def test_the_script_has_the_value_and_nothing_else_keeps_it(
    monitor: Monitor, place: Place, redis_server: RedisServer
) -> None:
    keep_secret(factories.person(), name="door", value=SECRET)
    go = "/tmp/go" if place.is_apart else "go"
    run = started(
        SAYS.format(go=go, before=place.before),
        target=place.target,
        launch=place.launch,
        secrets={"TOKEN": "door"},
    )
    monitor.wait(lambda: "it is ***\n***\n" in log_of(run), "the script has it", 90)

    def found() -> list[str]:
        return leaks(SECRET, *place.folders, redis=redis_server, engine=place.engine)

    assert found() == []
    if place.engine and place.is_apart:
        container = place.engine.containers.get(f"aml-{run.run_id}")
        touch = ["python3", "-c", f"open({go!r}, 'w')"]
        assert container.exec_run(touch).exit_code == 0
    else:
        (job_folder(run) / "work/go").touch()
    monitor.wait_for_end(run, 60)
    assert run.status == RunStatus.COMPLETED, log_of(run)
    assert f"{len(SECRET)} letters\n" in log_of(run)
    if place.launch:
        ranks = mirror_folder(run.run_id).glob("files/logs/rank_*.txt")
        said = [path.read_text() for path in ranks]
        assert len(said) == 2
        assert all(text.startswith("it is ***\n***\n") for text in said)
    assert found() == []
    execution.clean_run(run.pk)
    assert found() == []


def test_a_run_that_is_canceled_while_it_waits_leaves_nothing(
    monitor: Monitor, slurm: Slurm, redis_server: RedisServer
) -> None:
    keep_secret(factories.person(), name="door", value=SECRET)
    launch = {"nodes": 2, "cpus": 64}
    target = factories.cluster(slurm)
    run = started(target=target, launch=launch, secrets={"TOKEN": "door"})
    kept = job_folder(run) / "secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert leaks(SECRET, slurm.folder, redis=redis_server) == [str(kept)]
    services.cancel_run(run, by="ada")
    monitor.wait_for_end(run)
    assert leaks(SECRET, slurm.folder, redis=redis_server) == []


def test_a_worker_that_died_before_the_start_is_followed_by_another(
    monitor: Monitor, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_secret(factories.person(), name="door", value=SECRET)
    run = placed(
        "import os; print(len(os.environ['TOKEN']))", secrets={"TOKEN": "door"}
    )
    child = os.fork()
    if child == 0:
        # Killed when the secrets are there and nothing is started.
        monkeypatch.setattr(
            "computes.launchers.process.ProcessLauncher.start",
            lambda *_: os.kill(os.getpid(), 9),
        )
        execution.start_run(run.pk)
        os._exit(0)
    os.waitpid(child, 0)
    assert (job_folder(run) / "secrets.json").exists()
    monitor.wait(lambda: _again(run), "another takes it up")
    monitor.wait_for_end(run)
    assert log_of(run) == f"{len(SECRET)}\n"
    assert leaks(SECRET, redis=redis_server) == []


def _again(run: Run) -> bool:
    execution.start_run(run.pk)
    run.refresh_from_db()
    return run.handle is not None


def test_a_secret_that_went_meanwhile_fails_the_run(monitor: Monitor) -> None:
    kept = keep_secret(factories.person(), name="door", value=SECRET)
    run = placed(secrets={"TOKEN": "door"})
    kept.delete()
    execution.start_run(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "ada keeps no secret “door” any more." in run.error


def test_the_build_of_an_image_tells_no_password(
    monitor: Monitor, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny")
    tells = f"FROM {PYTHON}\nRUN echo error: no way through $HTTP_PROXY && exit 3\n"
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none",
        PYTHON_FIND_LINKS=[str(wheels.folder)],
        PYTHON_PROXY=f"http://ada:{SECRET}@proxy.invalid:3128",
    ):
        run = started(
            target=factories.docker_target(docker_engine),
            environment=environment("tiny", base_dockerfile=tells),
        )
    monitor.wait_for_end(run)
    assert "error: no way through http://ada:***@proxy.invalid:3128\n" in log_of(run)
    assert "no way through http://ada:***@proxy.invalid:3128" in run.error
    assert SECRET not in log_of(run) + run.error


def test_passwords_of_indexes_are_in_no_file_of_a_run(
    monitor: Monitor, redis_server: RedisServer, tmp_path: Path
) -> None:
    wheels = Wheels(tmp_path / "wheels")
    wheels.add("tiny")
    with override_settings(
        PYTHON_INDEX=f"file://{tmp_path}/none",
        PYTHON_FIND_LINKS=[str(wheels.folder)],
        PYTHON_PROXY=f"http://ada:{SECRET}@proxy.invalid:3128",
    ):
        run = started(
            "import os, tiny; print(any('_PROXY' in name for name in os.environ))",
            environment=environment("tiny"),
        )
    monitor.wait_for_end(run)
    assert log_of(run).splitlines()[-1] == "False"
    assert leaks(SECRET, job_folder(run), redis=redis_server) == []
