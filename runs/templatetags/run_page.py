"""Sizes, durations and times; the first two in the words of the page's scripts."""

from datetime import datetime

from django import template

from runs import reports

register = template.Library()

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@register.filter
def size(count: float) -> str:
    """199000000 as "199 MB"."""
    if count == 1:
        return "1 byte"
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = 1 if unit and amount < 9.95 else 0
    return f"{amount:.{digits}f} {_UNITS[unit]}"


@register.filter
def lasting(seconds: float | None) -> str:
    """A duration, to milliseconds where it is short: "12 ms", "3.4 s", "2 h 07 m"."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} m"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


@register.filter
def at(seconds: float) -> datetime:
    """The moment that a runner tells in seconds since 1970."""
    return reports.moment(seconds)


@register.filter(expects_localtime=True)
def clock(time: datetime) -> str:
    """The time of day to the millisecond: "19:46:39.123"."""
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03}"
