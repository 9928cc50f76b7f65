"""What the run page shows of a run, put together for its templates."""

import shlex
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from aml_portal.durations import spell_duration
from aml_portal.secret_names import looks_secret
from runs.access import may_change
from runs.exports import as_python, as_runconfig, environment_section
from runs.gpus import gpus_in_words
from runs.masking import mask_variables, masked
from runs.mirror import RESOURCES, last_word, mirror_folder
from runs.models import Run, RunEvent
from runs.requests import PageRequest
from runs.run_environment import building, run_environment
from runs.run_git import RunGit
from runs.sights import JOB_NAME, JOB_URL
from runs.status import CANCELABLE, WITHOUT_JOB, EndReason, RunStatus
from runs.waiting import estimate_of, why_waiting

_MOST_CHILDREN = 50

ADVICE = {
    EndReason.EXIT_CODE: "The end of the log usually says what went wrong. Resubmit"
    " the run once the cause is gone.",
    EndReason.SIGNAL: "Look at the end of the log, and at the memory under Resources.",
    EndReason.MAX_DURATION: "Resubmit it with a longer maximum duration, or have the"
    " script continue from what it has saved.",
    EndReason.IDLE: "Have the script print how far it is, or resubmit it on a target"
    " with a longer idle limit.",
    EndReason.START_FAILED: "Check the environment's interpreter and the script, then"
    " resubmit.",
    EndReason.PREPARE_FAILED: "What was printed meanwhile is in the log. Change the"
    " environment, or submit the run again once the cause is gone.",
    EndReason.SUBMIT_FAILED: "Resubmit the run; its settings are kept.",
    EndReason.HOST_SIGNAL: "The compute target was shut down or the system was stopped."
    " Resubmit the run.",
    EndReason.LOST: "The compute target lost the process, for example by a restart or"
    " for want of memory. Resubmit the run.",
    EndReason.GIVEN_UP: "Should the compute target answer again, what is left of the"
    " run is ended there, and the rest of its log is fetched.",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the timeline; `lasted` is how long its state did, once that is over."""

    event: RunEvent
    lasted: float | None
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A piece of the bar that shows what the time went into, in thousandths."""

    status: str
    label: str
    seconds: float
    start: int
    width: int


def page_context(request: PageRequest, run: Run) -> dict[str, Any]:
    """What every part of the page may use."""
    built = building(run) if run.status == RunStatus.STARTING else None
    return {
        "run": run,
        # As Azure ML calls it while an environment is made for the run.
        "status": RunStatus.PREPARING if built else RunStatus(run.status),
        "building": built,
        "may_change": may_change(request.user, run),
        # Asked for where they are shown, which is not in every part.
        "why_waiting": SimpleLazyObject(lambda: why_waiting(run)),
        "estimate": SimpleLazyObject(lambda: estimate_of(run)),
        "elapsed": (
            timezone.now() - (run.started_at or run.created_at)
        ).total_seconds(),
        "may_cancel": run.status in CANCELABLE,
        "has_job": run.status not in WITHOUT_JOB,
        "grace": spell_duration(run.configuration.grace_seconds),
        "advice": _advice(run),
    }


def overview_context(request: PageRequest, run: Run) -> dict[str, Any]:
    configuration = run.configuration
    shown = (
        configuration.environment_variables
        if may_change(request.user, run)
        else mask_variables(configuration.environment_variables)
    )
    events = list(run.events.all())
    return {
        "timeline": timeline(events),
        "phases": phases(run, events),
        "command": shlex.join([configuration.script, *configuration.arguments]),
        "configuration": configuration,
        "gpus": gpus_in_words(run.gpu_indexes),
        "launch": run.target.launch_in_words(configuration.launch),
        "interpreter": _interpreter(run),
        "job_name": run.properties.get(JOB_NAME, ""),
        "job_url": run.properties.get(JOB_URL, ""),
        "max_duration": _max_duration(run),
        "variables": [
            (name, value, bool(value) and looks_secret(name))
            for name, value in shown.items()
        ],
        "secrets": configuration.secrets,
        "children": run.children.order_by("id")[:_MOST_CHILDREN],
        "git": RunGit(run=run),
        "packages": run_environment(run),
        "word": None if run.is_active else last_word(run.run_id),
    }


def _advice(run: Run) -> str:
    if run.end_reason == EndReason.GIVEN_UP and not run.is_left_there:
        return "Its target has answered since: the timeline says what became of it."
    return ADVICE.get(EndReason(run.end_reason), "") if run.end_reason else ""


def _interpreter(run: Run) -> str:
    """Empty for one that is made for the environment, and has no place of its own."""
    if not run.environment.definition.is_user_managed:
        return ""
    return run.environment.interpreter_on(run.target)


def _max_duration(run: Run) -> str:
    own = run.configuration.max_run_duration_seconds
    limit = run.target.limited(own)
    if limit == own:
        return spell_duration(own)
    return f"{spell_duration(own)}; {run.target} ends it after {spell_duration(limit)}"


def resources_context(run: Run) -> dict[str, Any]:
    return {"has_samples": (mirror_folder(run.run_id) / RESOURCES).exists()}


def configuration_context(run: Run) -> dict[str, Any]:
    shown = masked(run.configuration)
    is_masked = shown != run.configuration
    shown = replace(shown, launch=run.target.launch_of(shown.launch))
    environment = run.environment
    return {
        "is_masked": is_masked,
        "runconfig": as_runconfig(
            shown,
            target=run.target.name,
            environment=environment_section(environment, run.target),
            priority=run.priority,
        ),
        "python": as_python(
            shown,
            experiment=run.experiment.name,
            target=run.target.name,
            environment=environment.name,
            version=environment.version,
            tags={tag.name: tag.value for tag in run.tags.all()},
            display_name=run.display_name,
            priority=run.priority,
        ),
    }


def timeline(events: list[RunEvent]) -> list[Entry]:
    """The events as they came, each new state with the time that it lasted."""
    changes = [event for event in events if event.status]
    ends = {event.pk: following.time for event, following in pairwise(changes)}
    return [
        Entry(
            event=event,
            lasted=(ends[event.pk] - event.time).total_seconds()
            if event.pk in ends
            else None,
            is_current=bool(changes) and event.pk == changes[-1].pk,
        )
        for event in events
    ]


def phases(run: Run, events: list[RunEvent]) -> list[Phase]:
    """Where the time between the submission and the end, or now, went."""
    changes = [event for event in events if event.status]
    if not changes:
        return []
    times = [event.time for event in changes] + [run.ended_at or timezone.now()]
    total = (times[-1] - times[0]).total_seconds() or 1.0
    found, start = [], 0
    for event, (begin, end) in zip(changes, pairwise(times), strict=True):
        seconds = max((end - begin).total_seconds(), 0)
        width = min(round(1000 * seconds / total), 1000 - start)
        if event.status and width > 0:
            found.append(
                Phase(
                    status=event.status,
                    label=RunStatus(event.status).label,
                    seconds=seconds,
                    start=start,
                    width=width,
                )
            )
            start += width
    return found
