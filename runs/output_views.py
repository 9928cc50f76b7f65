"""Outputs, snapshot and lock of a run: listed, shown and downloaded."""

from django.http import Http404, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET, require_safe

from runs.access import get_run
from runs.file_answers import answer_file, answer_tree
from runs.mirror import files_folder
from runs.requests import PageRequest
from runs.run_files import Outputs, SnapshotFiles
from runs.snapshots import zip_folder, zip_snapshot
from runs.storage import store
from runs.streaming import send_file, send_zip


@require_GET
def outputs(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id)
    return answer_tree(request, Outputs(run), run=run)


@require_GET
def snapshot(request: PageRequest, run_id: str) -> HttpResponse:
    run = get_run(request, run_id)
    return answer_tree(request, SnapshotFiles(run.snapshot, run))


@require_safe
def output(request: PageRequest, run_id: str) -> HttpResponseBase:
    return answer_file(request, Outputs(get_run(request, run_id)))


@require_safe
def snapshot_file(request: PageRequest, run_id: str) -> HttpResponseBase:
    run = get_run(request, run_id)
    return answer_file(request, SnapshotFiles(run.snapshot, run))


@require_GET
def outputs_zip(request: PageRequest, run_id: str) -> HttpResponseBase:
    run = get_run(request, run_id)
    pieces = zip_folder(files_folder(run.run_id))
    return send_zip(pieces, name=f"{run.run_id}_outputs.zip")


@require_GET
def snapshot_zip(request: PageRequest, run_id: str) -> HttpResponseBase:
    run = get_run(request, run_id)
    pieces = zip_snapshot(SnapshotFiles(run.snapshot, run).manifest, store())
    return send_zip(pieces, name=f"{run_id}_snapshot.zip")


@require_safe
def patch(request: PageRequest, run_id: str) -> HttpResponseBase:
    """What was not committed of the source, as `git apply` takes it."""
    run = get_run(request, run_id)
    if not run.git_patch:
        raise Http404("The run has no patch.")
    return send_file(request, store().open(run.git_patch), name=f"{run_id}.patch")


@require_GET
def lock(request: PageRequest, run_id: str, name: str) -> HttpResponse:
    """The exact packages that the run had, for another tool to install them."""
    lock = get_run(request, run_id).lock
    texts = {
        "requirements.txt": lock and lock.text and lock.as_requirements(),
        "conda-explicit.txt": lock and lock.conda and lock.as_explicit(),
    }
    text = texts.get(name)
    if not text:
        raise Http404("The run has no such lock.")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)
