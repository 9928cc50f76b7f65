"""The page of one run, its parts, and what people do with the run there."""

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from aml_portal.errors import UserError
from runs.access import get_run
from runs.file_panel import files_context, wanted_in
from runs.forms import RenameForm
from runs.giving_up import give_up_run
from runs.log_check import check_log
from runs.models import Run
from runs.requests import PageRequest
from runs.resources import read_series
from runs.run_changes import run_changes
from runs.run_files import Outputs, SnapshotFiles
from runs.run_page import (
    configuration_context,
    overview_context,
    page_context,
    resources_context,
)
from runs.services import (
    archive_runs,
    cancel_run,
    delete_run,
    rename_run,
    restore_runs,
    tag_runs,
    untag_runs,
)

PANELS = {
    "log": "Log",
    "overview": "Overview",
    "outputs": "Outputs",
    "resources": "Resources",
    "snapshot": "Snapshot",
    "configuration": "Configuration",
}


@require_GET
def detail(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id)
    tab = request.GET.get("tab", "log")
    context = _panel_context(request, run, tab if tab in PANELS else "log")
    return render(request, "runs/run_detail.html", {**context, "panels": PANELS})


@require_GET
def panel(request: PageRequest, run_id: str, panel: str) -> HttpResponse:
    """One part of the page, when it is first looked at and when it is new."""
    if panel not in PANELS:
        raise Http404("The page has no such part.")
    context = _panel_context(request, get_run(request, run_id), panel)
    return render(request, f"runs/_panel_{panel}.html", context)


def _panel_context(request: PageRequest, run: Run, name: str) -> dict[str, object]:
    context = {**page_context(request, run), "panel": name}
    match name:
        case "overview":
            return context | overview_context(request, run)
        case "resources":
            return context | resources_context(run)
        case "configuration":
            return context | configuration_context(run)
        case "outputs":
            return context | files_context(Outputs(run), wanted_in(request))
        case "snapshot":
            files = SnapshotFiles(run.snapshot, run)
            changes = {"changes": run_changes(request, run)}
            return context | changes | files_context(files, wanted_in(request))
    return context


@require_GET
def status(request: PageRequest, run_id: str) -> HttpResponse:
    """The part of the page that says how the run is, for when that changes."""
    context = page_context(request, get_run(request, run_id))
    return render(request, "runs/_run_status.html", context)


@require_GET
def log_check(request: PageRequest, run_id: str) -> HttpResponse:
    """Whether the portal has the log exactly as the runner last saw it."""
    run = get_run(request, run_id)
    context = {"run": run, "check": check_log(run.run_id)}
    return render(request, "runs/_log_check.html", context)


@require_GET
def resources(request: PageRequest, run_id: str) -> JsonResponse:
    """The samples of the chart; `from` is the byte where the last answer ended."""
    run = get_run(request, run_id)
    start = request.GET.get("from", "0")[:18]
    return JsonResponse(read_series(run.run_id, int(start) if start.isdecimal() else 0))


@require_POST
def cancel(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id, write=True)
    problem = ""
    if not cancel_run(run, by=request.user.get_username()):
        run.refresh_from_db()
        state = "is being canceled" if run.is_active else "has ended"
        problem = f"The run {state} already; nothing was changed."
    return _part_or_page(request, run, "_run_status", problem)


@require_POST
def give_up(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id, write=True)
    given_up = give_up_run(run, by=request.user.get_username())
    problem = "" if given_up else "The compute target answers; nothing was changed."
    run.refresh_from_db()
    return _part_or_page(request, run, "_run_status", problem)


@require_POST
def rename(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id, write=True)
    form = RenameForm(request.POST)
    if form.is_valid():
        rename_run(run, form.cleaned_data["name"])
    problem = "" if form.is_valid() else "A display name has at most 255 characters."
    return _part_or_page(request, run, "_run_title", problem)


@require_POST
def tags(request: PageRequest, run_id: str) -> HttpResponse:
    """Set a tag, or take one away."""
    run = get_run(request, run_id, write=True)
    problem = ""
    try:
        _change_tag(run, request.POST)
    except UserError as error:
        problem = str(error)
    return _part_or_page(request, get_run(request, run_id), "_run_tags", problem)


def _change_tag(run: Run, data: QueryDict) -> None:
    only, name = Run.objects.filter(pk=run.pk), data.get("name", "").strip()
    if "remove" in data:
        untag_runs(only, name)
    else:
        tag_runs(only, name, data.get("value", "").strip())


@require_POST
def archive(request: PageRequest, run_id: str) -> HttpResponse:
    """Put the run out of the lists, or back with `restore`."""
    run = get_run(request, run_id, write=True)
    only = Run.objects.filter(pk=run.pk)
    if "restore" in request.POST:
        restore_runs(only)
        messages.success(request, "The run is in the lists again.")
    else:
        archive_runs(only)
        messages.success(request, "The run is archived; lists show it when asked to.")
    return redirect(run)


@require_POST
def delete(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id, write=True)
    name = str(run)
    if not delete_run(run):
        messages.error(request, "The run has not ended yet. Cancel it first.")
        return redirect(run)
    messages.success(request, f"{name} was deleted, with its log and outputs.")
    return redirect("runs:list")


def _part_or_page(
    request: PageRequest, run: Run, part: str, problem: str
) -> HttpResponse:
    """The changed fragment for htmx, or for a plain form the page again."""
    if request.htmx:
        context = page_context(request, run) | {"problem": problem}
        return render(request, f"runs/{part}.html", context)
    if problem:
        messages.error(request, problem)
    return redirect(run)
