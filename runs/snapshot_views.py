"""Snapshots on pages of their own: their files, and the runs that used them."""

from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from runs.access import get_snapshot
from runs.file_answers import answer_file, answer_tree
from runs.file_panel import files_context, wanted_in
from runs.models import Run
from runs.requests import PageRequest
from runs.run_files import SnapshotFiles
from runs.snapshots import zip_snapshot
from runs.storage import read_manifest, store
from runs.streaming import send_zip

_RUNS_PER_PAGE = 25


@require_GET
def page(request: PageRequest, sha256: str) -> HttpResponse:
    snapshot = get_snapshot(sha256)
    users = Run.objects.filter(snapshot=snapshot).with_names()
    context = {
        **files_context(SnapshotFiles(snapshot), wanted_in(request)),
        "snapshot": snapshot,
        "users": Paginator(users, _RUNS_PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "runs/snapshot.html", context)


@require_GET
def tree(request: PageRequest, sha256: str) -> HttpResponse:
    return answer_tree(request, SnapshotFiles(get_snapshot(sha256)))


@require_safe
def file(request: PageRequest, sha256: str) -> HttpResponseBase:
    return answer_file(request, SnapshotFiles(get_snapshot(sha256)))


@require_GET
def as_zip(request: PageRequest, sha256: str) -> HttpResponseBase:
    snapshot = get_snapshot(sha256)
    pieces = zip_snapshot(read_manifest(snapshot), store())
    return send_zip(pieces, name=f"snapshot_{snapshot}.zip")
