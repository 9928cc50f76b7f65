"""The list of experiments: how many runs each has, and how the last ones went."""

from dataclasses import dataclass

from django import forms
from django.db.models import Count, Max, Q

from runs.models import Experiment, Run

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


def experiment_rows() -> list[ExperimentRow]:
    """Those with the newest runs first."""
    unarchived = Q(runs__archived_at=None)
    experiments = Experiment.objects.annotate(
        run_count=Count("runs", filter=unarchived), newest=Max("runs__id")
    ).order_by("-newest", "name")
    return [
        ExperimentRow(
            experiment=experiment,
            runs=experiment.run_count,
            latest=_latest(experiment),
        )
        for experiment in experiments
    ]


def _latest(experiment: Experiment) -> list[Run]:
    runs = Run.objects.filter(experiment=experiment, archived_at=None)
    return list(reversed(runs[:_SHOWN_STATES]))
