"""The pages of environments."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aml_portal.errors import UserError
from environments.forms import EnvironmentForm
from environments.models import Environment
from environments.services import archive_environment, save_environment

_LONGEST_KEY = 18


@require_GET
def environment_list(request: HttpRequest) -> HttpResponse:
    environments = Environment.objects.usable().annotate(run_count=Count("runs"))
    context = {"environments": environments}
    return render(request, "environments/environment_list.html", context)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new environment, or with `from` a new version of one."""
    form = EnvironmentForm(request.POST or None, initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        try:
            saved = save_environment(
                name=form.cleaned_data["name"],
                definition=form.definition,
                description=form.cleaned_data["description"],
            )
        except UserError as error:
            form.add_error("interpreter_path", str(error))
        else:
            messages.success(
                request, f"{saved} is saved: it runs on Python {saved.python_version}."
            )
            return redirect("environments:list")
    return render(request, "environments/environment_form.html", {"form": form})


def _initial(request: HttpRequest) -> dict[str, str]:
    source = request.GET.get("from", "")
    if not source.isdecimal() or len(source) > _LONGEST_KEY:
        return {}
    environment = get_object_or_404(Environment, pk=int(source))
    variables = environment.environment_variables.items()
    return {
        "name": environment.name,
        "interpreter_path": environment.interpreter_path,
        "description": environment.description,
        "variables": "\n".join(f"{name}={value}" for name, value in variables),
    }


@require_POST
def archive(request: HttpRequest, pk: int) -> HttpResponse:
    environment = get_object_or_404(Environment, pk=pk)
    if not request.user.is_staff:
        raise PermissionDenied
    archive_environment(environment)
    messages.success(request, f"{environment} is archived. Its runs keep it.")
    return redirect("environments:list")
