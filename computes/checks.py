"""Finds out whether a compute target can run something, one question at a time."""

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from aml_portal.errors import PortalError, TargetError
from aml_portal.sizes import spell_size
from computes.hosts import Host, Source
from computes.launchers import ImageLauncher, Launcher, OverdueError, Sight
from computes.launchers.recipes import PackageSources

_log = logging.getLogger(__name__)

# Below this much room hardly anything can run.
_LITTLE_DISK = 1_000_000_000
_JOB_SECONDS = 30.0
# From one question to the runner to the next, and to the launcher.
_BEAT, _LOOK_EVERY = 0.1, 1.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a check; `is_fine` is None for one that was not reached."""

    name: str
    is_fine: bool | None
    detail: str = ""
    seconds: float = 0.0


@dataclass(kw_only=True)
class Checks:
    """The checks of a target, carried out as they are iterated over.

    After one that fails, those that follow are not reached. `facts` are what the
    machine said of itself meanwhile.
    """

    host: Host
    launcher: Launcher
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [*_OF_HOST, *self.launcher.checks(), _JOB]

    def __iter__(self) -> Iterator[Outcome]:
        failed = False
        for name, check in self._all().items():
            if failed:
                yield Outcome(name=name, is_fine=None)
                continue
            begun = time.monotonic()
            try:
                detail = check()
            except PortalError as error:
                failed, detail = True, str(error)
            except Exception:
                # Such as what an engine or a scheduler says that nobody has thought of.
                mark = secrets.token_hex(4)
                _log.exception("The check “%s” failed (error %s)", name, mark)
                failed = True
                detail = (
                    "The portal does not understand what it was told; its log has it"
                    f" as {mark}."
                )
            seconds = time.monotonic() - begun
            yield Outcome(name=name, is_fine=not failed, detail=detail, seconds=seconds)

    def _all(self) -> dict[str, Callable[[], str]]:
        of_host = {name: partial(check, self) for name, check in _OF_HOST.items()}
        return {**of_host, **self.launcher.checks(), _JOB: partial(_job, self)}


def _sign_in(asked: Checks) -> str:
    asked.facts = asked.host.facts()
    return f"It is called {asked.facts['host']}."


def _python(asked: Checks) -> str:
    return f"Python {asked.facts['python']} at {asked.facts['executable']}."


def _disk(asked: Checks) -> str:
    free = spell_size(asked.facts["disk_free"])
    if asked.facts["disk_free"] < _LITTLE_DISK:
        raise TargetError(f"Only {free} are free.", "Free some space there.")
    return f"{free} of {spell_size(asked.facts['disk'])} are free."


def _writing(asked: Checks) -> str:
    if error := asked.facts["write_error"]:
        raise TargetError(
            f"Nothing can be written to the working folder: {error.lower()}.",
            "Give a folder that the account may write to.",
        )
    return "A file was written and forced to the disk."


def _gpus(asked: Checks) -> str:
    names = [gpu["name"] for gpu in asked.facts["gpus"]]
    if not names:
        return str(asked.facts["gpu_error"]) or "None: there is no nvidia-smi."
    return ", ".join(f"{names.count(name)} of {name}" for name in dict.fromkeys(names))


def _job(asked: Checks) -> str:
    """Run a job of one second from its source to its end."""
    job = f"check-{secrets.token_hex(6)}"
    spec = {
        "id": job,
        "portal": settings.PORTAL_ID,
        "argv": [asked.facts["executable"], "-c", "import time; time.sleep(1)"],
        "cwd": "work",
        "env": {},
        "grace_seconds": 5,
        "max_duration_seconds": _JOB_SECONDS,
    }
    host, launcher = asked.host, asked.launcher
    spec = launcher.spec(spec, {})
    try:
        with TemporaryDirectory() as empty:
            host.stage(job, spec, Source(entries=[], objects=Path(empty)))
        if isinstance(launcher, ImageLauncher) and not launcher.find_image(job, spec):
            launcher.bring_image(job, spec, PackageSources(), lambda: True)
        launcher.start(job, spec)
        return _outcome(asked, job)
    except OverdueError:
        return "A run will tell, once its image is there."
    finally:
        host.cancel(job, grace_seconds=0, reason="The check is over.")
        launcher.end(job)
        _end(asked, job)
        host.clean(job)


def _outcome(asked: Checks, job: str) -> str:
    """What became of the job, in a sentence. Raises TargetError."""
    state = _end(asked, job)
    if state.get("exit_code") == 0:
        return "A job of one second ran from its start to its end."
    sight = asked.launcher.look([job]).get(job, Sight())
    if state["state"] == "not_started" and sight.words and not sight.is_over:
        # Others are before it: nothing is wrong with that.
        return f"It waits as others do. {sight.words}"
    raise TargetError(
        f"A job of one second did not end as it should: {_how(state)}."
        f" {sight.words} {sight.hint}".strip()
    )


def _how(state: dict[str, Any]) -> str:
    if state["state"] == "ended":
        return f"its exit code is {state['exit_code']}"
    return f"it is {state['state'].replace('_', ' ')}"


def _end(asked: Checks, job: str) -> dict[str, Any]:
    """Wait for the end of a job, but not for ever; what the runner says of it then."""
    now = time.monotonic()
    deadline, look_at = now + _JOB_SECONDS, now + _LOOK_EVERY
    while (state := asked.host.state(job))["state"] in ("not_started", "running"):
        now = time.monotonic()
        if now > deadline:
            break
        if now > look_at and state["state"] == "not_started":
            look_at = now + _LOOK_EVERY
            if _is_over(asked, job):
                # It may have run from its start to its end since.
                return asked.host.state(job)
        time.sleep(_BEAT)
    return state


def _is_over(asked: Checks, job: str) -> bool:
    """Whether the launcher knows that the runner will never begin."""
    return asked.launcher.look([job]).get(job, Sight()).is_over


_JOB = "A one-second job"
_OF_HOST: dict[str, Callable[[Checks], str]] = {
    "Sign in": _sign_in,
    "Python": _python,
    "Free disk": _disk,
    "Write access": _writing,
    "GPUs": _gpus,
}


def as_shown(kept: list[dict[str, Any]]) -> list[Outcome]:
    """The outcomes as a target has kept them, and those that are yet to come."""
    names = [*_OF_HOST, _JOB]
    return [Outcome(**each) for each in kept] or [
        Outcome(name=name, is_fine=None) for name in names
    ]
