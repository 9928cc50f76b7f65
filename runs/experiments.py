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
    return ExperimentPage(
        page=page,
        rows=[
            ExperimentRow(
                experiment=experiment,
                runs=experiment.runs_shown,
                latest=_latest(experiment),
            )
            for experiment in page
        ],
    )


def _latest(experiment: Experiment) -> list[Run]:
    runs = Run.objects.filter(experiment=experiment, archived_at=None)
    return list(reversed(runs[:_SHOWN_STATES]))
