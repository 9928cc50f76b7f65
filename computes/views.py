"""The pages of compute targets; what changes one is for administrators."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aml_portal.errors import PortalError, UserError
from computes import services
from computes.checks import as_shown
from computes.forms import AttachForm, TargetForm
from computes.kinds import kinds
from computes.models import SSH, ComputeTarget
from computes.ssh_settings import fingerprint_of


@require_GET
def target_list(request: HttpRequest) -> HttpResponse:
    targets = ComputeTarget.objects.attached().with_way().by_machine()
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


@require_GET
def attach(request: HttpRequest) -> HttpResponse:
    """The kinds of targets that can be attached."""
    _check_may_change(request)
    attachable = [kind for kind in kinds().values() if kind.form]
    return render(request, "computes/attach.html", {"kinds": attachable})


@require_http_methods(["GET", "POST"])
def attach_kind(request: HttpRequest, kind: str) -> HttpResponse:
    _check_may_change(request)
    chosen = kinds().get(kind)
    if chosen is None or chosen.form is None:
        raise Http404
    fresh = ComputeTarget(kind=chosen.name)
    form = chosen.form(request.POST or None, instance=fresh)
    if request.method == "POST" and (target := _saved(form)):
        return _go_on(request, target)
    return render(request, "computes/attach_form.html", {"form": form, "kind": chosen})


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, name: str) -> HttpResponse:
    target = _target(name)
    _check_may_change(request)
    kind = target.its_kind
    if kind.form is None:
        return _edit_this_machine(request, target)
    form = kind.form(request.POST or None, instance=target)
    if request.method == "POST" and (saved := _saved(form)):
        return _go_on(request, saved)
    context = {"form": form, "kind": kind, "target": target}
    return render(request, "computes/attach_form.html", context)


def _edit_this_machine(request: HttpRequest, target: ComputeTarget) -> HttpResponse:
    form = TargetForm(request.POST or None, instance=target)
    if request.method == "POST" and form.is_valid():
        # Nothing else of the row: a monitor may have written there since.
        target.save(update_fields=[*form.Meta.fields, *form.limits])
        messages.success(request, f"{target} takes {target.max_runs} runs at a time.")
        return redirect("computes:list")
    return render(
        request, "computes/target_form.html", {"form": form, "target": target}
    )


def _saved(form: AttachForm) -> ComputeTarget | None:
    """The target as the form says; None if what is wrong was added to the form."""
    if not form.is_valid():
        return None
    try:
        return form.save_target()
    except PortalError as error:
        form.add_error(None, str(error))
        return None


def _go_on(request: HttpRequest, target: ComputeTarget) -> HttpResponse:
    """To what is next for a target that was saved: its host key, or its checks."""
    if not target.is_trusted:
        return redirect("computes:host-key", target.name)
    services.ask_for_check(target)
    messages.success(request, f"{target} is saved, and is being checked.")
    return redirect(target)


@require_http_methods(["GET", "POST"])
def host_key(request: HttpRequest, name: str) -> HttpResponse:
    """Show the key with which the machine answers, and pin the one that was shown."""
    target = _target(name)
    _check_may_change(request)
    if target.kind != SSH:
        raise Http404
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
    attached = ComputeTarget.objects.attached().with_way()
    return get_object_or_404(attached, name=name)


def _context(target: ComputeTarget) -> dict[str, object]:
    return {"target": target, "checks": as_shown(target.checks)}


def _check_may_change(request: HttpRequest) -> None:
    if not request.user.is_staff:
        raise PermissionDenied
