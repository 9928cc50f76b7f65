"""The history of runs: all of them, those of an experiment, and several at once."""

from dataclasses import replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aml_portal.errors import PortalError, UserError
from computes.models import ComputeTarget
from runs.access import changeable
from runs.bulk import Action, apply
from runs.experiments import ExperimentForm, experiment_page
from runs.history import HistoryFilter, page_of, parse_filter
from runs.models import Experiment, Run, RunQuerySet
from runs.requests import PageRequest, render_part
from runs.services import create_experiment
from runs.status import RunStatus


@require_GET
def run_list(request: PageRequest) -> HttpResponse:
    """All runs, filtered; for htmx only the list itself."""
    wanted, problems = parse_filter(request.GET)
    context = _list_context(request, wanted, problems)
    return render_part(request, "runs/_run_list.html", "runs/run_list.html", context)


@require_GET
def experiment(request: PageRequest, name: str) -> HttpResponse:
    """An experiment, and its runs filtered."""
    found = get_object_or_404(Experiment, name=name)
    wanted, problems = parse_filter(_within(request, found))
    context = {
        **_list_context(request, wanted, problems),
        "experiment": found,
        # The page itself is no condition that could be taken away.
        "chips": replace(wanted, experiment="").chips(),
    }
    return render_part(request, "runs/_run_list.html", "runs/experiment.html", context)


@require_http_methods(["GET", "POST"])
def experiments(request: PageRequest) -> HttpResponse:
    """All experiments, and a form for a new one."""
    form = ExperimentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(create_experiment(owner=request.user, **form.cleaned_data))
        except UserError as error:
            form.add_error("name", str(error))
    context = {
        "form": form,
        "experiments": experiment_page(request.GET.get("page", "")),
    }
    return render(request, "runs/experiments.html", context)


@require_POST
def bulk(request: PageRequest) -> HttpResponse:
    """Do one thing to several runs, and go back to the list that they were in."""
    # Whole, whatever its length: a filter that was cut would choose other runs.
    wanted, problems = parse_filter(QueryDict(request.POST.get("query", "")))
    chosen = Run.objects.none() if problems else _chosen(request, wanted)
    mine = changeable(request.user, chosen)
    others = chosen.count() - mine.count()
    try:
        action = Action(request.POST.get("action", ""))
        words = apply(action, mine, by=request.user.get_username(), data=request.POST)
    except ValueError:
        messages.error(request, "Nothing was done: choose what to do with the runs.")
    except PortalError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, words)
        if others:
            messages.warning(request, _left_alone(others))
    return redirect(f"{reverse('runs:list')}?{wanted.query()}")


def _left_alone(count: int) -> str:
    runs = "1 run was" if count == 1 else f"{count:,} runs were"
    return f"{runs} left alone: only the owner of a run or an administrator changes it."


def _chosen(request: PageRequest, wanted: HistoryFilter) -> RunQuerySet:
    """The runs that are ticked, or all that match."""
    if request.POST.get("all") == "1":
        return wanted.runs()
    return Run.objects.filter(run_id__in=request.POST.getlist("run")[:1000])


def _list_context(
    request: HttpRequest, wanted: HistoryFilter, problems: list[str]
) -> dict[str, object]:
    page = page_of(wanted, request.GET.get("at", ""))
    is_all = not page.previous and not page.next
    return {
        "filter": wanted,
        "problems": problems,
        "page": page,
        "total": len(page.runs) if is_all else wanted.runs().count(),
        "query": wanted.query(),
        "chips": wanted.chips(),
        "columns": _columns(wanted),
        "states": RunStatus,
        "targets": ComputeTarget.objects.all(),
        "sort_value": f"{'-' if wanted.descending else ''}{wanted.sort}",
    }


def _columns(wanted: HistoryFilter) -> list[dict[str, str]]:
    """The heads of the columns, and where a click on one leads."""
    heads = {
        "state": "State",
        "name": "Run",
        "experiment": "Experiment",
        "target": "Target",
        "owner": "Owner",
        "created": "Submitted",
        "duration": "Duration",
    }
    columns = []
    for sort, label in heads.items():
        current = sort == wanted.sort
        descending = not wanted.descending if current else sort in _LATEST_FIRST
        direction = "descending" if wanted.descending else "ascending"
        columns.append(
            {
                "sort": sort,
                "label": label,
                "aria_sort": direction if current else "none",
                "query": wanted.query(sort=sort, descending=descending),
            }
        )
    return columns


_LATEST_FIRST = {"created", "duration"}


def _within(request: HttpRequest, experiment: Experiment) -> QueryDict:
    data = request.GET.copy()
    data["experiment"] = experiment.name
    return data
