"""The pages that define an environment: by form, as text, and from elsewhere."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from aml_portal.errors import UserError
from aml_portal.row_keys import key_in
from aml_portal.secret_names import MASKED_NAMES
from environments.checking import check_packages
from environments.curated import PREFIX
from environments.definition import Definition, Kind
from environments.exporting import TEXTS, as_text
from environments.formats.docker import of_image
from environments.formats.pyproject import PYTHONS
from environments.formats.reading import Read
from environments.forms import EnvironmentForm, NamedForm, TextForm, initial_of
from environments.interpreters import capture, is_elsewhere
from environments.models import Environment
from environments.queries import known_packages, unused_name, versions_of
from environments.reading import read_files
from environments.rules import secret_remark
from environments.services import has_changed, save_environment


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new environment; a new version of `from`, or a clone of it with `clone`."""
    source = _source(request)
    base = source.definition if source else None
    initial = {**_named(request, source), **(initial_of(base) if base else {})}
    form = EnvironmentForm(request.POST or None, initial=initial, base=base)
    if request.method == "POST" and (saved := _saved(request, form, source)):
        return redirect(saved)
    context = _context(request, form, source)
    return render(request, "environments/environment_form.html", context)


@require_http_methods(["GET", "POST"])
def new_text(request: HttpRequest) -> HttpResponse:
    """The same as the text of a format."""
    source = _source(request)
    base = source.definition if source else Definition.of_packages()
    kind = request.GET.get("format", "")
    kind = kind if kind in TEXTS else "json"
    named = _named(request, source)
    text = as_text(base, kind, name=named.get("name", ""))
    initial = {**named, "text": text}
    form = TextForm(request.POST or None, initial=initial, base=base, kind=kind)
    if request.method == "POST" and (saved := _saved(request, form, source)):
        return redirect(saved)
    context = {**_context(request, form, source), "texts": TEXTS, "kind": kind}
    return render(request, "environments/environment_text.html", context)


@require_http_methods(["GET", "POST"])
def new_import(request: HttpRequest) -> HttpResponse:
    """Read files, an image or an interpreter; the form shows what was understood."""
    if request.method == "GET":
        return render(request, "environments/environment_import.html")
    try:
        read = _read(request)
    except UserError as error:
        context = {"error": error, "posted": {"what": "files", **request.POST.dict()}}
        return render(request, "environments/environment_import.html", context)
    form = EnvironmentForm(initial={**initial_of(read.definition), "name": read.name})
    context = {**_context(request, form), "notes": read.notes}
    return render(request, "environments/environment_form.html", context)


def _read(request: HttpRequest) -> Read:
    """What was brought. Raises UserError."""
    match request.POST.get("what"):
        case "interpreter":
            return capture(request.POST.get("interpreter", "").strip())
        case "image":
            return of_image(request.POST.get("image", "").strip())
    files = {file.name or "": file.read() for file in request.FILES.getlist("files")}
    if not files:
        raise UserError("No file was chosen.", "Choose one or several.")
    return read_files(files)


def _saved(
    request: HttpRequest, form: NamedForm, source: Environment | None
) -> Environment | None:
    """The environment as the form says; None if what is wrong was added to the form."""
    if not form.is_valid():
        return None
    data, definition = form.cleaned_data, form.definition
    try:
        is_new = has_changed(data["name"], definition)
        remark = check_packages(definition) if is_new else ""
        saved = save_environment(
            name=data["name"], definition=definition, description=data["description"]
        )
    except UserError as error:
        form.refuse(error)
        return None
    says = "is saved." if is_new else "has this definition already."
    messages.success(request, f"{saved} {says}")
    remarks = (
        *(remark, secret_remark(definition), _elsewhere(definition)),
        _passed_over(source, saved),
    )
    for warning in (*form.notes, *remarks):
        if warning:
            messages.warning(request, warning)
    return saved


def _elsewhere(definition: Definition) -> str:
    path = definition.python.interpreter_path
    if definition.kind != Kind.USER_MANAGED or not is_elsewhere(path):
        return ""
    return (
        f"{path} is not on the portal's machine, so it could not be asked: whether"
        " a compute target has it shows when a run begins there."
    )


def _passed_over(source: Environment | None, saved: Environment) -> str:
    """A sentence if others have saved versions that this one knows nothing of."""
    if source is None or source.name != saved.name or source == saved:
        return ""
    between = range(source.version + 1, saved.version)
    if not between:
        return ""
    are = (
        f"version {between[0]}"
        if len(between) == 1
        else f"versions {between[0]} to {between[-1]}"
    )
    return f"It began as version {source.version}: what {are} changed is not in it."


def _source(request: HttpRequest) -> Environment | None:
    """The environment that the new one begins as."""
    key = key_in(request.GET.get("from") or request.GET.get("clone") or "")
    return None if key is None else get_object_or_404(Environment, pk=key)


def _is_clone(request: HttpRequest, source: Environment | None) -> bool:
    """Whether it gets a name of its own, as what is curated has to."""
    return source is not None and (source.is_curated or "clone" in request.GET)


def _named(request: HttpRequest, source: Environment | None) -> dict[str, str]:
    if source is None:
        return {}
    if _is_clone(request, source):
        # It is about to become something else than is described there.
        return {"name": unused_name(source.name.removeprefix(PREFIX).lower())}
    return {"name": source.name, "description": source.description}


def _context(
    request: HttpRequest, form: NamedForm, source: Environment | None = None
) -> dict[str, Any]:
    form.focus_first_error()
    newest = versions_of(source).first() if source else None
    return {
        "form": form,
        "source": source,
        "is_clone": _is_clone(request, source),
        "newer": newest.version if newest and newest != source else None,
        "pythons": PYTHONS,
        "secret_names": MASKED_NAMES,
        "known": known_packages() if isinstance(form, EnvironmentForm) else (),
    }
