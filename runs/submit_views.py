"""The page that submits runs: the form, its preview, the upload and the example."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from aml_portal.errors import UserError
from aml_portal.row_keys import key_in
from computes.models import ComputeTarget
from environments.models import Environment
from runs.access import get_run
from runs.building_ahead import build_ahead
from runs.file_names import name_in
from runs.file_tree import folder_at, tree
from runs.forms import SubmitForm
from runs.git_facts import GitFacts
from runs.models import Run
from runs.preflight import preflight as look_at
from runs.requests import PageRequest
from runs.run_files import files_of
from runs.services import submit_run
from runs.submit_page import (
    example_submission,
    form_context,
    hidden_variables,
    initial_values,
    preview_context,
)
from runs.transfers import recall
from runs.uploads import take_upload

_MOST_EARLIER = 20


@require_http_methods(["GET", "POST"])
def submit(request: PageRequest) -> HttpResponse:
    """Show the form, filled in from a run where `from` names one; submit it."""
    if request.method == "POST":
        return _submit(request)
    source = request.GET.get("from")
    run = get_run(request, source) if source else None
    form = SubmitForm(initial=initial_values(request, run))
    context = form_context(form, request.user) | {"source": run}
    if run is not None:
        context["dropped"] = hidden_variables(request, run)
    return render(request, "runs/submit.html", context)


def _submit(request: PageRequest) -> HttpResponse:
    form = SubmitForm(request.POST, request.FILES)
    run = _submitted(request, form) if form.is_valid() else None
    if run is not None:
        return _go_to(request, run)
    if request.htmx:
        return render(request, "runs/_submit_errors.html", {"form": form}, status=422)
    return render(
        request, "runs/submit.html", form_context(form, request.user), status=422
    )


def _submitted(request: PageRequest, form: SubmitForm) -> Run | None:
    """The new run; None if what is wrong was added to the form."""
    archive = form.cleaned_data["archive"]
    snapshot = form.cleaned_data["snapshot"]
    try:
        if archive and not snapshot:
            snapshot = take_upload(request, archive, archive.name).snapshot
            form.keep_snapshot(snapshot)
        submission = form.submission(snapshot)
        if arrival := recall(request.session, snapshot.id):
            submission = replace(
                submission,
                transfer=arrival.transfer,
                # What the portal itself has read is better known.
                git=arrival.git if arrival.git != GitFacts() else submission.git,
            )
        return submit_run(owner=request.user, submission=submission)
    except UserError as error:
        form.add_error(None, str(error))
        return None


def _go_to(request: PageRequest, run: Run) -> HttpResponse:
    if request.htmx:
        return HttpResponse(headers={"HX-Redirect": run.get_absolute_url()})
    return redirect(run)


@require_POST
def preview(request: PageRequest) -> HttpResponse:
    """The submission as it is typed so far, as code; and how it was understood."""
    form = SubmitForm(request.POST)
    form.full_clean()
    return render(request, "runs/_submit_preview.html", preview_context(form))


@require_safe
def preflight(request: PageRequest, sha256: str) -> HttpResponse:
    """What would go, and what is new in it since the experiment's last run."""
    try:
        found = look_at(sha256, request.GET.get("experiment", ""))
    except UserError as error:
        raise Http404(str(error)) from error
    files = files_of(found.manifest)
    context: dict[str, Any] = {"list_url": request.path}
    if folder := name_in(request, "folder"):
        context["folder"] = folder_at(files, folder) or tree([])
        return render(request, "runs/_preflight_folder.html", context)
    context |= {"preflight": found, "root": tree(files)}
    return render(request, "runs/_preflight.html", context)


@require_safe
def earlier(request: PageRequest) -> HttpResponse:
    """The last runs, whose snapshots can be submitted again, that `earlier` names."""
    text = request.GET.get("earlier", "").strip()
    runs = Run.objects.with_names().select_related("snapshot").named(text)
    context = {"runs": runs.order_by("-id")[:_MOST_EARLIER], "text": text}
    return render(request, "runs/_source_earlier.html", context)


@require_POST
def submit_example(request: PageRequest) -> HttpResponse:
    """Submit the example that comes with the portal, to its first target."""
    run = submit_run(owner=request.user, submission=example_submission())
    return _go_to(request, run)


@require_POST
def build_environment(request: PageRequest, name: str, version: int) -> HttpResponse:
    """Have an environment built on the `target`, before a run needs it."""
    environment = get_object_or_404(Environment, name=name, version=version)
    key = key_in(request.POST.get("target", ""))
    target = get_object_or_404(ComputeTarget.objects.usable(), pk=key)
    try:
        return redirect(build_ahead(environment, target, owner=request.user))
    except UserError as error:
        messages.error(request, str(error))
        return redirect(environment)
