"""What the run page tells of the environment that a run had on its target."""

from dataclasses import dataclass

from aml_portal.durations import short_duration
from aml_portal.errors import UserError
from environments.builds import build_of, key_of
from environments.models import Build, Lock
from environments.package_changes import PackageChange, package_changes
from runs.environment_events import EnvironmentEvents, environment_events
from runs.models import Run

_SENTENCES = {
    "building": "It is being built.",
    "waiting": "Another run builds it; this one waits.",
    "hit": "It was there already: nothing had to be built.",
    "failed": "It could not be built.",
}


@dataclass(frozen=True, kw_only=True)
class RunEnvironment:
    """`told` is what the run has said of it, `build` what is known of it by now.

    `before` is the run before it that had packages, too, and `changes` what differs.
    """

    key: str
    lock: Lock | None
    build: Build | None
    told: EnvironmentEvents
    is_over: bool
    is_image: bool
    before: Run | None
    changes: list[PackageChange]

    @property
    def sentence(self) -> str:
        last = self.told.last
        if last is None:
            return "It is not known yet whether it has to be built."
        if self.is_over and last.state in ("building", "waiting"):
            return "The run ended before it was built."
        if last.state == "failed" or self.told.seconds is None:
            return _SENTENCES.get(last.state, "")
        return f"It was built for this run, in {short_duration(self.told.seconds)}."


def run_environment(run: Run) -> RunEnvironment | None:
    """None if there was nothing to be made for the run."""
    told = environment_events(run.run_id)
    key = told.last.key if told.last else _expected_key(run)
    if not key and run.lock is None:
        return None
    before = run.previous
    if before is not None and before.lock is None:
        before = None
    return RunEnvironment(
        key=key,
        lock=run.lock,
        build=build_of(run.target, key),
        told=told,
        is_over=not run.is_active,
        is_image=run.target.its_kind.runs_images,
        before=before,
        changes=package_changes(before.lock if before else None, run.lock),
    )


def _expected_key(run: Run) -> str:
    """Before the run has told it; empty if nothing is to be made, or not known yet."""
    if run.lock and not run.target.its_kind.runs_images:
        return run.lock.key
    try:
        return key_of(run.environment, run.target, run.configuration.launch) or ""
    except UserError:
        return ""


@dataclass(frozen=True, kw_only=True)
class Building:
    """An environment that is being made for a run, for people who wait."""

    sentence: str
    since: float


def building(run: Run) -> Building | None:
    """None unless that is what the run is at."""
    told = environment_events(run.run_id)
    if told.begun is None:
        return None
    machine = run.target.its_machine
    if told.begun.state == "waiting":
        sentence = f"Another run builds the same environment on {machine}."
    else:
        sentence = f"Its environment is being built on {machine}."
    build = build_of(run.target, told.begun.key)
    if build and build.seconds is not None:
        sentence += f" The last time, that took about {short_duration(build.seconds)}."
    return Building(sentence=sentence, since=told.begun.time)
