"""The pages of compute targets."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from computes.forms import TargetForm
from computes.models import ComputeTarget


@require_GET
def target_list(request: HttpRequest) -> HttpResponse:
    targets = ComputeTarget.objects.attached()
    return render(request, "computes/target_list.html", {"targets": targets})


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """For administrators: how many runs the target takes at a time."""
    target = get_object_or_404(ComputeTarget.objects.attached(), name=name)
    if not request.user.is_staff:
        raise PermissionDenied
    form = TargetForm(request.POST or None, instance=target)
    if request.method == "POST" and form.is_valid():
        # Nothing else of the row: a monitor may have written there since.
        target.save(update_fields=form.Meta.fields)
        messages.success(request, f"{target} takes {target.max_runs} runs at a time.")
        return redirect("computes:list")
    return render(
        request, "computes/target_form.html", {"form": form, "target": target}
    )
