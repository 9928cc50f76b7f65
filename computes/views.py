"""The pages of compute targets; what changes one is for administrators."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aml_portal.errors import PortalError, UserError
from computes import services
from computes.checks import as_shown
from computes.forms import SshTargetForm, TargetForm
from computes.models import ComputeTarget
from computes.ssh_settings import fingerprint_of


@require_GET
def target_list(request: HttpRequest) -> HttpResponse:
    targets = ComputeTarget.objects.attached()
    return render(request, "computes/target_list.html", {"targets": targets})


@require_GET
def detail(request: HttpRequest, name: str) -> HttpResponse:
    target = _target(name)
    return render(request, "computes/target_detail.html", _context(target))


@require_GET
def checks(request: HttpRequest, name: str) -> HttpResponse:
    """What is known of the last check, or of the one that is at work."""
    return render(request, "computes/_target_body.html", _context(_target(name)))


@require_POST
def check(request: HttpRequest, name: str) -> HttpResponse:
    target = _target(name)
    _check_may_change(request)
    services.ask_for_check(target)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "computes/_target_body.html", _context(_target(name)))
    return redirect(target)


@require_http_methods(["GET", "POST"])
def attach(request: HttpRequest) -> HttpResponse:
    """A new machine over SSH; its host key is looked at next."""
    _check_may_change(request)
    form = SshTargetForm(request.POST or None)
    if request.method == "POST" and (target := _saved(form)):
        return redirect("computes:host-key", target.name)
    return render(request, "computes/ssh_form.html", {"form": form})


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    target = _target(name)
    _check_may_change(request)
    if target.kind == ComputeTarget.Kind.SSH:
        return _edit_ssh(request, target)
    form = TargetForm(request.POST or None, instance=target)
    if request.method == "POST" and form.is_valid():
        # Nothing else of the row: a monitor may have written there since.
        target.save(update_fields=form.Meta.fields)
        messages.success(request, f"{target} takes {target.max_runs} runs at a time.")
        return redirect("computes:list")
    return render(
        request, "computes/target_form.html", {"form": form, "target": target}
    )


def _edit_ssh(request: HttpRequest, target: ComputeTarget) -> HttpResponse:
    form = SshTargetForm(request.POST or None, instance=target)
    if request.method == "POST" and (saved := _saved(form)):
        if not saved.is_trusted:
            return redirect("computes:host-key", saved.name)
        services.ask_for_check(saved)
        messages.success(request, f"{saved} is saved, and is being checked.")
        return redirect(saved)
    return render(request, "computes/ssh_form.html", {"form": form, "target": target})


def _saved(form: SshTargetForm) -> ComputeTarget | None:
    """The target as the form says; None if what is wrong was added to the form."""
    if not form.is_valid():
        return None
    try:
        return services.save_ssh(form.instance, how=form.how, secrets=form.secrets)
    except PortalError as error:
        form.add_error(None, str(error))
        return None


@require_http_methods(["GET", "POST"])
def host_key(request: HttpRequest, name: str) -> HttpResponse:
    """Show the key with which the machine answers, and pin the one that was shown."""
    target = _target(name)
    _check_may_change(request)
    if request.method == "POST":
        try:
            services.pin_host_key(target, request.POST.get("host_key", ""))
        except UserError as error:
            messages.error(request, str(error))
            return redirect("computes:host-key", target.name)
        messages.success(request, f"{target} is attached, and is being checked.")
        return redirect(target)
    context: dict[str, object] = {"target": target}
    try:
        offered = services.offered_host_key(target)
    except PortalError as error:
        context["error"] = error
    else:
        context |= {"offered": offered, "fingerprint": fingerprint_of(offered)}
    return render(request, "computes/host_key.html", context)


def _target(name: str) -> ComputeTarget:
    attached = ComputeTarget.objects.attached().select_related("jump")
    return get_object_or_404(attached, name=name)


def _context(target: ComputeTarget) -> dict[str, object]:
    return {"target": target, "checks": as_shown(target.checks)}


def _check_may_change(request: HttpRequest) -> None:
    if not request.user.is_staff:
        raise PermissionDenied
