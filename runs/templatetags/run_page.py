"""Names of files, and the times of a runner."""

from datetime import datetime

from django import template

from runs import reports
from runs.file_names import printable

register = template.Library()
register.filter("printable", printable)


@register.filter
def at(seconds: float) -> datetime:
    """The moment that a runner tells in seconds since 1970."""
    return reports.moment(seconds)


@register.filter(expects_localtime=True)
def clock(time: datetime) -> str:
    """The time of day to the millisecond: "19:46:39.123"."""
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03}"
