"""The differences between two snapshots: the page, a file of it, lines of a gap."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django_htmx.http import replace_url

from runs.access import get_snapshot
from runs.diff_address import DiffAddress, address_in, remember
from runs.diff_lines import Gap
from runs.diff_page import diff_view, file_view, gap_part
from runs.file_names import in_query, name_in
from runs.requests import PageRequest, render_part
from runs.snapshot_changes import last_users


@require_GET
def page(request: PageRequest, before: str, after: str) -> HttpResponse:
    at = _address(request, before, after)
    context = {"diff": diff_view(at, name_in(request, "only")), "at": at}
    if not request.htmx:
        context["sides"] = last_users(at.before, at.after)
    part, page = "runs/_diff.html", "runs/snapshot_diff.html"
    response = remember(request, render_part(request, part, page, context))
    # Elsewhere the diff is only a part of the page.
    is_here = (request.htmx.current_url_abs_path or "").startswith(request.path)
    return replace_url(response, at.page) if is_here else response


@require_GET
def file(request: PageRequest, before: str, after: str) -> HttpResponse:
    """The diff of one file, when it is opened."""
    at = _address(request, before, after)
    context = {"file": file_view(at, name_in(request)), "at": at}
    return render(request, "runs/_diff_file.html", context)


@require_GET
def lines(request: PageRequest, before: str, after: str) -> HttpResponse:
    """Some of the equal lines between two differences."""
    at, name = _address(request, before, after), name_in(request)
    parts = gap_part(at, name, _gap(request))
    context = {"parts": parts, "at": at, "query": in_query(name)}
    return render(request, "runs/_diff_parts.html", context)


def _address(request: PageRequest, before: str, after: str) -> DiffAddress:
    return address_in(request, get_snapshot(before), get_snapshot(after))


def _gap(request: PageRequest) -> Gap:
    numbers = [request.GET.get(name, "")[:9] for name in Gap._fields]
    if not all(number.isdecimal() for number in numbers):
        raise Http404("The address names no lines.")
    return Gap(*map(int, numbers))
