"""What the pages of environments read."""

from functools import cache
from pathlib import Path

from django.db.models import Count, QuerySet

from environments.definition import Definition
from environments.formats.pip_lines import name_of
from environments.models import Environment

# For completing names: of more environments nobody would miss the packages.
_MOST_ASKED = 500
# Of the public index; whoever misses one adds it.
_POPULAR = Path(__file__).with_name("popular.txt")


def listed(text: str, *, archived: bool) -> list[Environment]:
    """The newest version of each name in which all words occur, of those in use or of
    those that are archived.

    Each has the number of runs of all versions of its name.
    """
    rows = Environment.objects.prefetch_related("labels")
    found = rows.archived() if archived else rows.newest()
    counts = _run_counts()
    words = text.lower().split()
    shown = [each for each in found if _has(each, words)]
    for each in shown:
        each.run_count = counts.get(each.name, 0)  # type: ignore[attr-defined]
    return shown


def _run_counts() -> dict[str, int]:
    rows = Environment.objects.values_list("name").annotate(count=Count("runs"))
    return dict(rows.order_by())


def _has(environment: Environment, words: list[str]) -> bool:
    conda = environment.definition.python.conda_dependencies
    parts = [str(environment), environment.description, *conda.pip, *conda.packages]
    labels = [str(label) for label in environment.labels.all()]
    whole = "\n".join([*parts, *labels]).lower()
    return all(word in whole for word in words)


def versions_of(environment: Environment) -> QuerySet[Environment]:
    rows = Environment.objects.filter(name=environment.name)
    return rows.order_by("-version").prefetch_related("labels")


def known_packages() -> list[str]:
    """Names of packages to complete what is typed: those that environments have, and
    those that are used most elsewhere.
    """
    rows = Environment.objects.newest().values_list("content", flat=True)
    found = {*_popular()}
    for content in rows[:_MOST_ASKED]:
        for line in Definition.from_json(content).python.conda_dependencies.pip:
            found.add(name_of(line).lower())
    return sorted(found - {""})


@cache
def _popular() -> list[str]:
    return _POPULAR.read_text(encoding="utf-8").split()


def unused_name(wanted: str) -> str:
    """A name like the wanted one that no environment has yet."""
    names = {*Environment.objects.values_list("name", flat=True)}
    return next(
        name
        for number in range(1, len(names) + 2)
        if (name := wanted if number == 1 else f"{wanted}-{number}") not in names
    )
