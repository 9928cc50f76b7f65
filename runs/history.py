"""The run history: which runs a person asks for, in what order, page by page.

A page is found by the last row of the one before it and not by counting rows, so the
thousandth page costs as much as the first.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode

from runs.models import Run, RunQuerySet, RunTag
from runs.status import ACTIVE, RunStatus

PAGE_SIZE = 50
# The column that each sort goes by; ties are broken by the order of submission.
SORTS = {
    "created": "id",
    "name": "display_name",
    "state": "status",
    "experiment": "experiment__name",
    "target": "target__name",
    "owner": "owner__username",
    "duration": "duration",
}
_DEFAULT_SORT = "created"
_ACTIVE = "active"


@dataclass(frozen=True, kw_only=True)
class HistoryFilter:
    """What the query string of a history page says.

    `states` may hold "active" besides the names of states; `tag` is a name, or
    name=value; `since` and `until` are days, both included.
    """

    states: tuple[str, ...] = ()
    experiment: str = ""
    target: str = ""
    user: str = ""
    tag: str = ""
    since: date | None = None
    until: date | None = None
    text: str = ""
    archived: bool = False
    sort: str = _DEFAULT_SORT
    descending: bool = True

    def runs(self) -> RunQuerySet:
        """All runs that are asked for, in no order."""
        found = Run.objects.filter(archived_at__isnull=not self.archived)
        if self.states:
            found = found.filter(status__in=self._statuses())
        equal = {
            "experiment__name": self.experiment,
            "target__name": self.target,
            "owner__username": self.user,
        }
        found = found.filter(**{name: value for name, value in equal.items() if value})
        if self.tag:
            found = found.filter(pk__in=self._tagged())
        # Not the first day of all: where clocks are ahead, it begins before time does.
        if self.since and self.since > date.min:
            found = found.filter(created_at__gte=_midnight(self.since))
        if self.until and self.until < date.max:
            day_after = self.until + timedelta(days=1)
            found = found.filter(created_at__lt=_midnight(day_after))
        if self.text and self.sort == _DEFAULT_SORT:
            found = self._with_text(found)
        elif self.text:
            # On its own, since then one index answers it, whatever the sort.
            unarchived = Run.objects.filter(archived_at__isnull=not self.archived)
            texts = self._with_text(unarchived).order_by()
            found = found.filter(pk__in=texts.values("pk"))
        return found

    def _statuses(self) -> set[str]:
        chosen = {state for state in self.states if state != _ACTIVE}
        return chosen | set(ACTIVE) if _ACTIVE in self.states else chosen

    def _with_text(self, found: RunQuerySet) -> RunQuerySet:
        for word in self.text.split():
            found = found.filter(
                # A run's id begins with the name of its experiment.
                Q(run_id__icontains=word)
                | Q(display_name__icontains=word)
                | Q(script__icontains=word)
            )
        return found

    def _tagged(self) -> QuerySet[Any, Any]:
        name, equals, value = self.tag.partition("=")
        tags = RunTag.objects.filter(name=name.strip())
        if equals:
            tags = tags.filter(value=value.strip())
        return tags.values("run_id")

    def query(self, **changes: Any) -> str:
        """The query string of this filter, with `changes`; defaults are left out."""
        changed = replace(self, **changes)
        pairs: list[tuple[str, str]] = [("state", state) for state in changed.states]
        for name in ("experiment", "target", "user", "tag", "since", "until", "text"):
            value = getattr(changed, name)
            if value:
                pairs.append((name, str(value)))
        if changed.archived:
            pairs.append(("archived", "1"))
        if (changed.sort, changed.descending) != (_DEFAULT_SORT, True):
            pairs.append(("sort", f"{'-' if changed.descending else ''}{changed.sort}"))
        return urlencode(pairs)

    def chips(self) -> list[tuple[str, str]]:
        """Each condition in words, and the query string without it."""
        shown = [
            (
                RunStatus(state).label if state in RunStatus else "Active",
                self.query(states=tuple(s for s in self.states if s != state)),
            )
            for state in self.states
        ]
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in ("states", "sort", "descending") or not value:
                continue
            words = "Archived" if value is True else f"{each.name}: {value}"
            shown.append((words, self.query(**{each.name: each.default})))
        return shown


def parse_filter(data: QueryDict) -> tuple[HistoryFilter, list[str]]:
    """The filter that a query string asks for, and what of it makes no sense."""
    problems: list[str] = []
    states = tuple(dict.fromkeys(data.getlist("state")))
    unknown = [s for s in states if s not in RunStatus and s != _ACTIVE]
    problems += [f"“{state[:50]}” is not a state of a run." for state in unknown]
    sort = data.get("sort", f"-{_DEFAULT_SORT}")
    if sort.removeprefix("-") not in SORTS:
        problems.append(f"Runs can't be sorted by “{sort[:50]}”.")
        sort = f"-{_DEFAULT_SORT}"
    words = {
        name: data.get(name, "").replace("\0", "").strip()[:500]
        for name in ("experiment", "target", "user", "tag", "text")
    }
    wanted = HistoryFilter(
        states=tuple(state for state in states if state not in unknown),
        since=_day(data.get("since", ""), problems),
        until=_day(data.get("until", ""), problems),
        archived=data.get("archived") == "1",
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        **words,
    )
    return wanted, problems


def _day(text: str, problems: list[str]) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        problems.append(f"“{text[:50]}” is not a day. Write it like 2026-11-23.")
        return None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some runs, and the cursors of the pages beside them, "" where there is none."""

    runs: list[Run] = field(default_factory=list)
    previous: str = ""
    next: str = ""


def page_of(wanted: HistoryFilter, cursor: str = "") -> Page:
    """The page that `cursor` names; the first one if it is empty or makes no sense.

    The first one, too, if all runs where the cursor points were deleted meanwhile.

    Found in two steps: the keys alone, which indexes answer, and then the rows.
    """
    place = _read_cursor(cursor, SORTS[wanted.sort])
    backwards = place is not None and place.backwards
    keys = _keys(wanted, place, backwards=backwards)
    more = len(keys) > PAGE_SIZE
    keys = keys[:PAGE_SIZE]
    if backwards:
        keys.reverse()
    if not keys:
        return page_of(wanted) if place else Page()
    has_previous = more if backwards else place is not None
    has_next = True if backwards else more
    return Page(
        runs=_rows(key[1] for key in keys),
        previous=_cursor(keys[0], backwards=True) if has_previous else "",
        next=_cursor(keys[-1], backwards=False) if has_next else "",
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A row by its sort value and key; the page lies before or after it."""

    value: Any
    pk: int
    backwards: bool


def _keys(
    wanted: HistoryFilter, place: _Place | None, *, backwards: bool
) -> list[tuple[Any, int]]:
    column = SORTS[wanted.sort]
    descending = wanted.descending != backwards
    found = wanted.runs()
    if place is not None:
        found = found.filter(_beyond(column, place, descending=descending))
    # Runs that have no duration yet come last, whichever way.
    nulls = {"nulls_first" if backwards else "nulls_last": True}
    order = [F("id").desc() if descending else F("id").asc()]
    if column == "duration":
        by = F(column).desc(**nulls) if descending else F(column).asc(**nulls)
        order.insert(0, by)
    elif column != "id":
        order.insert(0, F(column).desc() if descending else F(column).asc())
    values = found.order_by(*order).values_list(column, "pk")
    return list(values[: PAGE_SIZE + 1])


def _beyond(column: str, place: _Place, *, descending: bool) -> Q:
    """The rows that come after `place` in the order of the query."""
    compare = "lt" if descending else "gt"
    tie = Q(**{f"pk__{compare}": place.pk})
    if column == "id":
        return tie
    if place.value is None:
        beyond = Q(**{f"{column}__isnull": True}) & tie
        # Going back from those without a value, all that have one follow.
        return beyond | Q(**{f"{column}__isnull": False}) if place.backwards else beyond
    beyond = Q(**{f"{column}__{compare}": place.value})
    beyond |= Q(**{column: place.value}) & tie
    if column == "duration" and not place.backwards:
        beyond |= Q(**{f"{column}__isnull": True})
    return beyond


def _rows(keys: Iterable[int]) -> list[Run]:
    order = list(keys)
    found = Run.objects.with_names().in_bulk(order)
    # A run may have been deleted between the two steps.
    return [found[pk] for pk in order if pk in found]


def _cursor(key: tuple[Any, int], *, backwards: bool) -> str:
    text = json.dumps([key[0], key[1], backwards])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, column: str) -> _Place | None:
    """The place that a cursor of this sort names; None for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        value, pk, backwards = json.loads(base64.urlsafe_b64decode(padded))
        # Half a character can stand in JSON, but not in a query.
        str(value).encode()
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = {"id": int, "duration": float | int | None}.get(column, str)
    if not isinstance(value, kinds) or not _can_be_asked(value, pk):
        return None
    return _Place(value=value, pk=pk, backwards=backwards is True)


def _can_be_asked(value: Any, pk: Any) -> bool:
    """Whether every database takes both: no number too large, and no NUL."""
    numbers = [pk] if isinstance(value, str | None) else [value, pk]
    if any(not isinstance(n, int | float) or abs(n) >= 2**63 for n in numbers):
        return False
    return isinstance(pk, int) and "\0" not in str(value)
