"""The list of experiments: how many runs each has, and how the last ones went."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from runs.models import Experiment, Run

_PAGE_SIZE = 50
_SHOWN_STATES = 12


class ExperimentForm(forms.Form):
    name = forms.CharField(max_length=255)
    description = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


@dataclass(frozen=True, kw_only=True)
class ExperimentRow:
    """An experiment in the list; `latest` are its last runs, oldest first."""

    experiment: Experiment
    runs: int
    latest: list[Run]


@dataclass(frozen=True, kw_only=True)
class ExperimentPage:
    """Some experiments; `page` says what lies beside them."""

    page: Page[Any]
    rows: list[ExperimentRow]


def experiment_page(number: str) -> ExperimentPage:
    """Page `number`, or the one nearest to it; those with the newest runs first."""
    runs = Run.objects.filter(experiment=OuterRef("pk")).order_by()
    shown = runs.filter(archived_at=None).values("experiment")
    experiments = Experiment.objects.annotate(
        runs_shown=Coalesce(Subquery(shown.annotate(n=Count("pk")).values("n")), 0),
        newest=Subquery(runs.order_by("-id").values("pk")[:1]),
    ).order_by(F("newest").desc(nulls_last=True), "name")
    page: Page[Any] = Paginator(experiments, _PAGE_SIZE).get_page(number)
    latest = _latest(list(page))
    return ExperimentPage(
        page=page,
        rows=[
            ExperimentRow(
                experiment=experiment,
                runs=experiment.runs_shown,
                latest=latest[experiment.pk],
            )
            for experiment in page
        ],
    )


def _latest(experiments: list[Any]) -> dict[int, list[Run]]:
    """The last runs of each, oldest first.

    Each place has a look of its own into the index: this takes the same time however
    many runs there are.
    """
    runs = Run.objects.filter(experiment=OuterRef("pk"), archived_at=None)
    keys = runs.order_by("-id").values("pk")
    places = {f"run_{n}": Subquery(keys[n : n + 1]) for n in range(_SHOWN_STATES)}
    shown = Experiment.objects.filter(pk__in=[each.pk for each in experiments])
    rows = list(shown.annotate(**places).values_list("pk", *places))
    found = Run.objects.in_bulk([key for _, *keys in rows for key in keys if key])
    return {
        experiment: [found[key] for key in reversed(keys) if key in found]
        for experiment, *keys in rows
    }
