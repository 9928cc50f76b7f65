"""The queue of a compute target: who is in it, and in which order."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from aml_portal.errors import UserError
from computes.models import ComputeTarget
from runs.access import get_run
from runs.models import Run
from runs.priority import Priority
from runs.queue_page import queue_context
from runs.reorder import Way, move_in_queue, put_before, set_priority
from runs.requests import PageRequest, render_part


@require_GET
def queue(request: PageRequest, name: str) -> HttpResponse:
    """The part of the target's page; a page of its own where there is no script."""
    return _page(request, _target(name))


@require_POST
def change(request: PageRequest, name: str) -> HttpResponse:
    """Move a run that waits, or give it another priority."""
    target = _target(name)
    run = get_run(request, request.POST.get("run", ""), write=True)
    said = problem = ""
    try:
        place = _changed(request, run)
        said = f"{run} has place {place} in the queue."
    except UserError as error:
        problem = str(error)
    if request.htmx:
        return _page(request, target, said=said, problem=problem)
    if problem:
        messages.error(request, problem)
    return redirect("runs:queue", target.name)


def _changed(request: PageRequest, run: Run) -> int:
    """Do what was asked for; the place of the run then."""
    match request.POST:
        case {"before": other}:
            return put_before(run, get_run(request, other), by=request.user)
        case {"way": way} if way in set(Way):
            return move_in_queue(run, Way(way), by=request.user)
        case {"priority": given} if given in map(str, Priority.values):
            return set_priority(run, Priority(int(given)), by=request.user)
    raise UserError("This can't be done in the queue.", "Reload the page.")


def _page(request: PageRequest, target: ComputeTarget, **more: str) -> HttpResponse:
    context = queue_context(request.user, target) | more
    return render_part(request, "runs/_queue.html", "runs/queue.html", context)


def _target(name: str) -> ComputeTarget:
    return get_object_or_404(ComputeTarget.objects.attached().with_way(), name=name)
