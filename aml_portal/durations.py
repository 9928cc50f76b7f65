"""Durations as people type them ("2h 30m", "90" or "none") and as they read them."""

import re

from aml_portal.errors import UserError

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_UNITS = r"d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?"
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNITS})?(?=\W|\d|\Z)", re.IGNORECASE)
_WITHOUT = {"none", "no", "never", "unlimited", "no limit", "∞"}
_LONGEST = 3650 * 86400
_ADVICE = "Write it like “2h 30m”, “45 min”, or “90” for seconds."


def parse_duration(text: str) -> int | None:
    """The seconds that `text` says; None for "none". Raises UserError."""
    text = text.strip()
    if text.casefold() in _WITHOUT:
        return None
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).replace(",", "").strip():
        raise UserError(f"“{text}” is not a duration.", _ADVICE)
    if len(parts) > 1 and not all(unit for _, unit in parts):
        raise UserError(f"“{text}” has a number without a unit.", _ADVICE)
    seconds = sum(float(count) * _factor(unit) for count, unit in parts)
    if seconds > _LONGEST:
        raise UserError("The duration is longer than 10 years.", "Write “none”.")
    return round(seconds)


def format_duration(seconds: int | None) -> str:
    """The duration in the words that `parse_duration` reads."""
    if seconds is None:
        return "none"
    parts = []
    rest = seconds
    for unit, size in _SECONDS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def spell_duration(seconds: int | None) -> str:
    """The duration in full words, to say back how it was understood."""
    if seconds is None:
        return "no limit"
    names = dict(zip("dhms", ("day", "hour", "minute", "second"), strict=True))
    words = []
    for part in format_duration(seconds).split():
        count, name = part[:-1], names[part[-1]]
        words.append(f"{count} {name}" if count == "1" else f"{count} {name}s")
    return " ".join(words)


def short_duration(seconds: float | None) -> str:
    """How long something took: "12 ms", "3.4 s", "45 s", "2 h 07 m", "4 d 3 h".

    static/js/times.js spells those that tick.
    """
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} m {rest:02} s"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02} m"


def _factor(unit: str) -> int:
    return _SECONDS[unit[:1].lower()] if unit else 1
