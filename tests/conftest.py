"""The surroundings of all tests: their own data folder, and portals to talk to."""

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# A machine that has much else to do is no failure.
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("unhurried")

# Before anything reads the settings. Short, since a socket's path has to be.
_DATA = Path(tempfile.mkdtemp(prefix="aml-tests-"))
for _name in [*os.environ]:
    if _name.startswith(("AML_PORTAL_", "DJANGO_", "RQ_")) or _name == "REDIS_URL":
        del os.environ[_name]
os.environ["AML_PORTAL_DATA"] = str(_DATA)
os.environ["DJANGO_SETTINGS_MODULE"] = "aml_portal.settings"

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.test import override_settings  # noqa: E402

from tests.services.docker_engine import DockerEngine  # noqa: E402
from tests.services.docker_images import load_images  # noqa: E402
from tests.services.machine import Machine  # noqa: E402
from tests.services.portal import Portal, prepare_data  # noqa: E402
from tests.services.redis import RedisServer  # noqa: E402
from tests.services.slurm import Slurm  # noqa: E402
from tests.services.spark import SparkCluster  # noqa: E402
from tests.services.sshd import Sshd  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures", action="store_true", help="take the pictures of docs/pictures"
    )


def pytest_configure() -> None:
    django.setup()


def pytest_unconfigure() -> None:
    shutil.rmtree(_DATA, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick ones first, then those with a server, those with a browser last."""
    items.sort(key=_slowness)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the processes of the portal have logged."""
    report = yield
    portal = getattr(item, "funcargs", {}).get("portal")
    if report.failed and portal:
        report.sections.append(("What the portal logged", portal.logs()))
    return report


def _slowness(item: pytest.Item) -> int:
    fixtures = set(getattr(item, "fixturenames", ()))
    if fixtures & {"page", "browser", "context"}:
        return 2
    return 1 if fixtures & {"portal", "make_portal"} else 0


@pytest.fixture(scope="session", autouse=True)
def settings_of_tests() -> Iterator[None]:
    """What a real portal has and does, but the test process need not.

    It has collected no static files, and lets nobody in whose password is worth much.
    """
    (_DATA / "static").mkdir()
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(
        STORAGES={**settings.STORAGES, "staticfiles": plain},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ):
        yield


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """A server that goes on as long as the tests of a module."""
    with Sshd() as server:
        yield server


@pytest.fixture
def own_sshd() -> Iterator[Sshd]:
    """One that a test may stop and start."""
    with Sshd() as server:
        yield server


@pytest.fixture(scope="session")
def prepared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as it is before the first start, to be copied."""
    return prepare_data(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def make_portal(prepared_data: Path) -> Iterator[Callable[..., Portal]]:
    """Start portals of one's own: `make_portal(AML_PORTAL_WORKERS=2)`."""
    portals: list[Portal] = []

    def make(**environment: object) -> Portal:
        portal = Portal(prepared_data, **environment)
        portals.append(portal)
        portal.start()
        return portal

    yield make
    for portal in portals:
        portal.remove()


@pytest.fixture(scope="module")
def portal(prepared_data: Path) -> Iterator[Portal]:
    """A running portal that the tests of a module share."""
    portal = Portal(prepared_data)
    portal.start()
    yield portal
    portal.remove()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium, which no sandbox could hold as root and in containers."""
    program = shutil.which("chromium")
    assert program, "The browser tests need chromium: run make test-install."
    return {
        "executable_path": program,
        "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    }


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis that the settings of the test process name."""
    with RedisServer.embedded(_DATA) as server:
        yield server


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Another machine, which is as it was again after each test."""
    if os.geteuid() != 0:
        pytest.skip("Only root can make a machine of its own.")
    with Machine() as machine:
        yield machine


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """An engine that all tests share: it has the images, and is never stopped."""
    with DockerEngine() as engine:
        load_images(engine.client())
        yield engine


@pytest.fixture(scope="session")
def slurm_of_all() -> Iterator[Slurm]:
    with Slurm() as slurm:
        yield slurm


@pytest.fixture
def slurm(slurm_of_all: Slurm) -> Iterator[Slurm]:
    """A Slurm cluster, which each test finds without jobs and with all nodes."""
    yield slurm_of_all
    slurm_of_all.end_all_jobs()


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[SparkCluster]:
    with SparkCluster() as cluster:
        yield cluster
