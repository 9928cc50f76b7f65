"""Sizes as people read them."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def spell_size(count: float) -> str:
    """199000000 as "199 MB", in the words of static/js/log/format.js."""
    if count == 1:
        return "1 byte"
    amount, unit = float(count), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = 1 if unit and amount < 9.95 else 0
    return f"{amount:.{digits}f} {_UNITS[unit]}"
