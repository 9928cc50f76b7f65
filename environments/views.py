"""The pages that show environments, and what is done with one of them."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from aml_portal.errors import UserError
from aml_portal.row_keys import key_in
from aml_portal.secret_names import looks_secret
from environments import services
from environments.builds import builds_of, outlooks_of
from environments.comparing import compare
from environments.exporting import exports_of
from environments.models import LATEST, Environment
from environments.queries import listed, versions_of

_MOST_RUNS = 10


@require_GET
def environment_list(request: HttpRequest) -> HttpResponse:
    text, archived = request.GET.get("q", ""), "archived" in request.GET
    found = listed(text, archived=archived)
    context = {
        "own": [each for each in found if not each.is_curated],
        "curated": [each for each in found if each.is_curated],
        "text": text,
        "is_archived": archived,
        "has_archived": Environment.objects.exclude(archived_at=None).exists(),
    }
    return render(request, "environments/environment_list.html", context)


@require_GET
def detail(request: HttpRequest, name: str, version: int) -> HttpResponse:
    environment = _environment(name, version)
    definition, versions = environment.definition, [*versions_of(environment)]
    usable = [each for each in versions if not each.archived_at]
    runs = environment.runs.select_related("experiment", "owner", "target")
    context = {
        "environment": environment,
        "definition": definition,
        "variables": [
            (name, value, bool(value) and looks_secret(name))
            for name, value in definition.environment_variables.items()
        ],
        "builds": builds_of(environment),
        "places": outlooks_of(environment),
        "versions": versions,
        "is_latest": usable[:1] == [environment],
        "latest": LATEST,
        "exports": exports_of(definition),
        "runs": runs.order_by("-id")[:_MOST_RUNS],
        "run_count": environment.runs.count(),
    }
    return render(request, "environments/environment_detail.html", context)


@require_GET
def export(request: HttpRequest, name: str, version: int, key: str) -> HttpResponse:
    environment = _environment(name, version)
    definition = environment.definition
    found = {each.key: each for each in exports_of(definition)}.get(key)
    if found is None:
        raise Http404
    answer = HttpResponse(
        found.write(environment, definition), content_type=found.content_type
    )
    file = found.file_of(environment)
    answer["Content-Disposition"] = f'attachment; filename="{file}"'
    return answer


@require_GET
def compare_versions(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """What this version changed, of the one before it or of `with`."""
    environment = _environment(name, version)
    others = versions_of(environment).exclude(pk=environment.pk)
    wanted = key_in(request.GET.get("with", ""))
    other = others.filter(version__lt=version).first() or others.first()
    if wanted is not None:
        other = get_object_or_404(others, version=wanted)
    context: dict[str, Any] = {
        "environment": environment,
        "other": other,
        "others": others,
        "changes": compare(other.definition, environment.definition) if other else [],
    }
    return render(request, "environments/environment_compare.html", context)


@require_POST
def describe(request: HttpRequest, name: str, version: int) -> HttpResponse:
    environment = _environment(name, version)
    text = request.POST.get("description", "").strip()
    try:
        services.describe_environment(environment, text)
    except UserError as error:
        messages.error(request, str(error))
    return redirect(environment)


@require_POST
def label(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """Add the label `add`, or take the label `remove` away."""
    environment = _environment(name, version)
    try:
        if removed := request.POST.get("remove", ""):
            services.remove_label(environment, removed)
        else:
            services.label_environment(environment, request.POST.get("add", "").strip())
    except UserError as error:
        messages.error(request, str(error))
    return redirect(environment)


@require_POST
def archive(request: HttpRequest, name: str, version: int) -> HttpResponse:
    environment = _changeable(request, name, version)
    try:
        services.archive_environment(environment)
    except UserError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, f"{name} is archived with all its versions. Its runs keep them."
        )
    return redirect(environment)


@require_POST
def restore(request: HttpRequest, name: str, version: int) -> HttpResponse:
    environment = _changeable(request, name, version)
    try:
        services.restore_environment(environment)
    except UserError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{name} is offered again.")
    return redirect(environment)


def _environment(name: str, version: int) -> Environment:
    return get_object_or_404(Environment, name=name, version=version)


def _changeable(request: HttpRequest, name: str, version: int) -> Environment:
    environment = _environment(name, version)
    if not request.user.is_staff:
        raise PermissionDenied
    return environment
