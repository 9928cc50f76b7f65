"""What pages of compute targets do with runs."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from aml_portal.errors import PortalError, UserError
from computes.models import LOCAL, ComputeTarget
from environments.idle import idle_builds, remove_build
from runs.detaching import IfActive, detach as detach_target
from runs.leftovers import end_left_behind, left_behind
from runs.requests import PageRequest


@require_GET
def leftovers(request: PageRequest, name: str) -> HttpResponse:
    """For administrators: what lives there though its run has ended."""
    target = _target(request, name)
    context: dict[str, object] = {"target": target}
    try:
        context["found"] = left_behind(target)
        context["builds"] = idle_builds(target)
    except PortalError as error:
        context["error"] = error
    return render(request, "runs/leftovers.html", context)


@require_POST
def end_leftover(request: PageRequest, name: str) -> HttpResponse:
    target = _target(request, name)
    job = request.POST.get("job", "")
    try:
        end_left_behind(target, job, by=request.user.username)
    except PortalError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"What was left of {job} is being ended.")
    return redirect("runs:leftovers", target.name)


@require_POST
def remove_idle_build(request: PageRequest, name: str) -> HttpResponse:
    """For administrators: remove a built environment that no run uses."""
    target = _target(request, name)
    try:
        remove_build(target, request.POST.get("key", ""))
    except PortalError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The environment was removed.")
    return redirect("runs:leftovers", target.name)


@require_POST
def detach(request: PageRequest, name: str) -> HttpResponse:
    """For administrators: detach the target, now or once its runs have ended."""
    target = _target(request, name)
    if target.kind == LOCAL:
        raise PermissionDenied
    chosen = request.POST.get("if_active", "")
    if_active = IfActive(chosen) if chosen in set(IfActive) else IfActive.REFUSE
    try:
        done = detach_target(target, if_active=if_active, by=request.user.username)
    except UserError as error:
        messages.error(request, str(error))
        return redirect(target)
    if not done:
        messages.success(request, f"{target} is detached when its runs have ended.")
        return redirect(target)
    messages.success(request, f"{target} is detached. Its runs stay in the history.")
    return redirect("computes:list")


def _target(request: PageRequest, name: str) -> ComputeTarget:
    if not request.user.is_staff:
        raise PermissionDenied
    return get_object_or_404(ComputeTarget.objects.attached().with_way(), name=name)
