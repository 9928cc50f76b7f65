"""What pages of compute targets do with runs."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from aml_portal.errors import UserError
from computes.models import LOCAL, ComputeTarget
from runs.detaching import IfActive, detach as detach_target
from runs.requests import PageRequest


@require_POST
def detach(request: PageRequest, name: str) -> HttpResponse:
    """For administrators: detach the target, now or once its runs have ended."""
    target = get_object_or_404(ComputeTarget.objects.attached(), name=name)
    if not request.user.is_staff or target.kind == LOCAL:
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
