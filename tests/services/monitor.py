"""Does what worker and monitor do, in the test process: for runs with real jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from computes.hosts import Host
from computes.hosts.local import LocalHost
from environments.preparing import Preparation
from runs import execution
from runs.follower import Follower
from runs.models import Run
from runs.status import RunStatus
from tests import factories
from tests.waiting import eventually


class Monitor:
    """Follows all runs, and looks at them as often as a test does."""

    def __init__(self) -> None:
        self._followers: list[Follower] = []

    def begin(self, host: Host | None = None) -> None:
        follower = Follower(host or LocalHost(settings.JOBS_FOLDER))
        self._followers.append(follower)
        follower.start()

    def wait(self, look: Callable[[], object], what: str, timeout: float = 30) -> None:
        def look_again() -> bool:
            for follower in self._followers:
                runs = [*Run.objects.followed(), *Run.objects.left_there()]
                follower.sync(runs)
            return bool(look())

        eventually(look_again, what, timeout)

    def wait_for(self, run: Run, *statuses: RunStatus, timeout: float = 30) -> None:
        def has_come() -> bool:
            run.refresh_from_db()
            return run.status in statuses

        self.wait(has_come, f"{run.run_id} is {statuses}", timeout)

    def wait_for_end(self, run: Run, timeout: float = 30) -> None:
        ends = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED)
        self.wait_for(run, *ends, timeout=timeout)

    def stop(self, *, keep: int = 0) -> None:
        while len(self._followers) > keep:
            self._followers.pop().stop()


@contextmanager
def following(host: Host | None = None) -> Iterator[Monitor]:
    """A monitor that has begun with a host, or with this machine."""
    monitor = Monitor()
    monitor.begin(host)
    try:
        yield monitor
    finally:
        monitor.stop()


def spec_of(run: Run) -> dict[str, Any]:
    """What its job.json says, with the Python of its target."""
    prepared = Preparation(python=run.environment.interpreter_on(run.target))
    return execution.job_spec(run, prepared)


def placed(code: str = "", **changes: object) -> Run:
    """A run that has its place, and that no worker has taken up yet."""
    run = factories.submit(code, **{"target": factories.target(max_runs=50), **changes})
    assert run.status == RunStatus.PREPARING
    return run


def started(code: str = "", **changes: object) -> Run:
    run = placed(code, **changes)
    take_up(run)
    return run


def take_up(run: Run) -> None:
    """Submit a run to its end, with what that takes of packages and images."""
    if execution.start_run(run.pk):
        execution.start_run_slowly(run.pk)


def states(run: Run) -> list[str]:
    return list(run.events.exclude(status="").values_list("status", flat=True))


def job_folder(run: Run) -> Path:
    folder: Path = settings.JOBS_FOLDER / run.run_id
    return folder
