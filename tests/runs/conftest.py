"""For tests of runs that have real jobs and no portal around them."""

from collections.abc import Iterator

import django
import pytest

# pytest may read this file before it has configured anything.
django.setup()

from runs import services  # noqa: E402
from runs.models import Run  # noqa: E402
from tests.services.monitor import Monitor, following as following_here  # noqa: E402


@pytest.fixture(scope="module")
def following() -> Iterator[Monitor]:
    with following_here() as monitor:
        yield monitor


@pytest.fixture
def monitor(following: Monitor) -> Iterator[Monitor]:
    yield following
    for run in Run.objects.active():
        services.cancel_run(run, by="the test")
    following.wait(lambda: not Run.objects.active().exists(), "all runs have ended")
    following.stop(keep=1)
