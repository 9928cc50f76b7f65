"""What a launcher answers, whichever way it starts jobs."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from aml_portal.errors import TargetError
from computes.launchers.recipes import PackageSources

Spec = dict[str, Any]


class OverdueError(TargetError):
    """What a job needs was not there within the time that its run may take."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What can be seen of a job from outside, where the runner may not tell it yet.

    `words` say what it waits for, or how it ended. Once `is_over`, nothing of it will
    ever run any more. `hint` is what may explain a bad end, such as a lack of memory.
    `name` is what the job is called there, and `url` the page that shows it; both stay
    with the run.
    """

    words: str = ""
    is_over: bool = False
    hint: str = ""
    name: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something of a job that is there: processes, a container, a scheduler's job.

    `portal` is the settings.PORTAL_ID of the portal that started it; where that can't
    be told it is empty, and nobody ends it but for a run that this portal knows.
    """

    job: str
    words: str
    since: datetime | None = None
    portal: str = ""


class Launcher(Protocol):
    """Starts jobs on a host in one way.

    `job` is the name of a job folder. All calls may be repeated at any time, and raise
    TargetError, TargetAwayError where it can't be asked.
    """

    def spec(self, spec: Spec, options: Mapping[str, Any]) -> Spec:
        """What `job.json` is to say so that the job is started in this way.

        `options` are those of the run, as the form of the kind for runs has cleaned
        them. Raises UserError for what can't be.
        """
        ...

    def start(self, job: str, spec: Spec) -> dict[str, Any]:
        """Start the staged job, once however often this is called; its handle."""
        ...

    def look(self, jobs: Collection[str]) -> Mapping[str, Sight]:
        """What can be seen of those jobs; one that is missing here can't be told."""
        ...

    def end(self, job: str) -> None:
        """End what is left of a job by force, and forget it; the folder stays.

        Absent is fine.
        """
        ...

    def leftovers(self) -> list[Leftover]:
        """What is there of jobs that this launcher started, also of active ones."""
        ...

    def checks(self) -> Mapping[str, Callable[[], str]]:
        """What a check of the target asks beside what it asks of the host, in order.

        Each answers with a sentence, or raises PortalError.
        """
        ...


@runtime_checkable
class ImageLauncher(Launcher, Protocol):
    """One whose jobs run in images, which have to be there before a job is started."""

    def find_image(self, job: str, spec: Spec) -> bool:
        """Whether the image of a staged job is there; then its events tell so."""
        ...

    def bring_image(
        self,
        job: str,
        spec: Spec,
        sources: PackageSources,
        is_wanted: Callable[[], bool],
    ) -> bool:
        """Pull or build the image; False once it is not wanted any more.

        The one call here that may take hours. What happens goes to the job's log and
        events. `is_wanted` is asked every second or so, by any thread. Raises
        PortalError for what can't be had, OverdueError where the run's limit is over.
        """
        ...
