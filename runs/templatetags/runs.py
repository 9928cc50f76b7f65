"""How the state of a run and its duration look, in every list and on every page."""

from typing import NamedTuple

from django import template

from aml_portal.durations import short_duration
from runs.status import RunStatus
from runs.target_counts import with_run_counts

register = template.Library()
register.filter("duration", short_duration)
register.filter("with_run_counts", with_run_counts)


class StatusLook(NamedTuple):
    """The word, the icon's name, and the tone: idle, busy, ok, bad, warn or off."""

    label: str
    icon: str
    tone: str


_LOOKS: dict[str, tuple[str, str]] = {
    RunStatus.NOT_STARTED: ("circle-dashed", "idle"),
    RunStatus.QUEUED: ("hourglass", "idle"),
    RunStatus.PREPARING: ("package", "busy"),
    RunStatus.STARTING: ("rocket", "busy"),
    RunStatus.RUNNING: ("loader-2", "busy"),
    RunStatus.FINALIZING: ("progress", "busy"),
    RunStatus.CANCEL_REQUESTED: ("player-stop", "warn"),
    RunStatus.NOT_RESPONDING: ("plug-connected-x", "warn"),
    RunStatus.COMPLETED: ("circle-check", "ok"),
    RunStatus.FAILED: ("circle-x", "bad"),
    RunStatus.CANCELED: ("ban", "off"),
}


@register.simple_tag
def status_look(status: str) -> StatusLook:
    icon, tone = _LOOKS[status]
    return StatusLook(str(RunStatus(status).label), icon, tone)
