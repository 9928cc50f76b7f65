"""How the state of a run looks, in every list and on every page."""

from typing import NamedTuple

from django import template

from runs.status import RunStatus

register = template.Library()


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


@register.filter
def duration(seconds: float) -> str:
    """A duration as the pages spell it; static/js/times.js spells the ticking ones."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes == 0:
        return f"{whole} s"
    if hours == 0:
        return f"{minutes} m {whole % 60:02} s"
    if days == 0:
        return f"{hours} h {minutes % 60:02} m"
    return f"{days} d {hours % 24} h"
