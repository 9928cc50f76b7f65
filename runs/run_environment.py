"""What the run page tells of the environment that a run had on its target."""

from dataclasses import dataclass

from environments.builds import build_of
from environments.models import Build, Lock
from runs.mirror import EVENTS, mirror_folder
from runs.models import Run
from runs.reports import Event, read_event

# There are a few lines; more than that only a script has put there.
_MOST = 1 << 20
_SENTENCES = {
    "building": "It is being built.",
    "waiting": "Another run builds it; this one waits.",
    "hit": "It was there already.",
    "failed": "It could not be built.",
}


@dataclass(frozen=True, kw_only=True)
class RunEnvironment:
    """`told` is what the run said last of it, `build` what is known of it by now."""

    lock: Lock
    build: Build | None
    told: Event | None

    @property
    def sentence(self) -> str:
        if self.told is None:
            return "It is not known yet whether it has to be built."
        if self.told.state == "built":
            return f"It was built for this run, in {self.told.seconds or 0:.0f} s."
        return _SENTENCES.get(self.told.state, "")


def run_environment(run: Run) -> RunEnvironment | None:
    """None if the run needs no packages of its own."""
    if run.lock is None:
        return None
    return RunEnvironment(
        lock=run.lock,
        build=build_of(run.lock, run.target),
        told=_told(run.run_id, run.lock.key),
    )


def _told(run_id: str, key: str) -> Event | None:
    try:
        with (mirror_folder(run_id) / EVENTS).open("rb") as file:
            lines = file.read(_MOST).splitlines()
    except FileNotFoundError:
        return None
    events = [event for line in lines if (event := read_event(line))]
    told = [each for each in events if each.event == "environment" and each.key == key]
    return told[-1] if told else None
