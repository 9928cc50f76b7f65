"""Lines of code with their numbers, each of which is the link to its line.

The rows are put together here and not by a template, which would take a second for the
20,000 that a page may have.
"""

import re
from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe

# A browser leaves a block alone until it is scrolled into sight.
BLOCK = 100
_LINES = re.compile(r"([1-9]\d{0,8})(?:-([1-9]\d{0,8}))?")


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The lines that an address names, counted from 1; none if `last` is before."""

    first: int
    last: int

    def __bool__(self) -> bool:
        return self.first <= self.last

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last


NO_LINES = Selected(first=1, last=0)


def selected_in(text: str) -> Selected:
    """What "12" or "12-20" says; anything else names no lines."""
    match = _LINES.fullmatch(text)
    if match is None:
        return NO_LINES
    ends = (int(match[1]), int(match[2] or match[1]))
    return Selected(first=min(ends), last=max(ends))


def code_lines(lines: list[SafeString], *, name: str, selected: Selected) -> SafeString:
    """Rows in blocks. Their names begin with `name`, which a page has once.

    One of the links can be reached with the Tab key; static/js/run/code-view.js moves
    on from there.
    """
    entry = selected.first if selected and selected.first <= len(lines) else 1
    rows = [
        _row(
            name, number, line, is_selected=number in selected, is_entry=number == entry
        )
        for number, line in enumerate(lines, start=1)
    ]
    blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
    return mark_safe("".join(f"<span>{''.join(block)}</span>" for block in blocks))  # noqa: S308


def _row(
    name: str, number: int, line: SafeString, *, is_selected: bool, is_entry: bool
) -> str:
    mark = ' aria-current="true"' if is_selected else ""
    # Without scripts as well, the browser goes where the focus is.
    focus = " autofocus" if is_selected and is_entry else ""
    tab = 0 if is_entry else -1
    # A name and no id: htmx looks for each id of new content in what was there before.
    return (
        f'<span{mark}><a name="{name}-{number}" href="#{name}-{number}"'
        f' data-n="{number}" tabindex="{tab}"{focus}></a>{line}\n</span>'
    )
