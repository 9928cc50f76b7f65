"""What a run's job has told of the making of its environment, read from its mirror."""

from dataclasses import dataclass

from runs.mirror import EVENTS, mirror_folder
from runs.reports import Event, read_event

# There are a few lines; more than that only a script has put there.
_MOST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class EnvironmentEvents:
    """`events` are about environments, in the order in which they were told.

    `log_bytes` is where the script's own part of the log begins; None before that.
    """

    events: list[Event]
    log_bytes: int | None = None

    @property
    def last(self) -> Event | None:
        return self.events[-1] if self.events else None

    @property
    def begun(self) -> Event | None:
        """Since when it is being made; None if it is not, or not any more."""
        last = self.last
        is_busy = last and last.state in ("building", "waiting")
        return last if is_busy and self.log_bytes is None else None

    @property
    def seconds(self) -> float | None:
        """How long it took to make it, if that was done for this run."""
        made = [each.seconds for each in self.events if each.state == "built"]
        return sum(each or 0.0 for each in made) if made else None


def environment_events(run_id: str) -> EnvironmentEvents:
    try:
        with (mirror_folder(run_id) / EVENTS).open("rb") as file:
            lines = file.read(_MOST).splitlines()
    except FileNotFoundError:
        lines = []
    events: list[Event] = []
    for event in filter(None, map(read_event, lines)):
        if event.event == "prepared":
            # What comes later, the script may have written.
            return EnvironmentEvents(events=events, log_bytes=event.log_bytes or 0)
        # Others may have to go to make room; of that the run needs to know nothing.
        if event.event == "environment" and event.state != "removed":
            events.append(event)
    return EnvironmentEvents(events=events)
