"""The outputs and the snapshot of a run: listed, shown and downloaded."""

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from runs.access import get_run
from runs.file_names import name_in
from runs.file_tree import folder_at
from runs.mirror import files_folder
from runs.requests import PageRequest
from runs.run_files import (
    Outputs,
    RunFiles,
    SnapshotFiles,
    files_context,
    image_of,
    show,
)
from runs.snapshots import zip_folder, zip_snapshot
from runs.storage import store
from runs.streaming import send_file, send_zip


@require_GET
def outputs(request: PageRequest, run_id: str) -> HttpResponse:
    return _tree(request, Outputs(get_run(request, run_id)))


@require_GET
def snapshot(request: PageRequest, run_id: str) -> HttpResponse:
    return _tree(request, SnapshotFiles(get_run(request, run_id)))


def _tree(request: PageRequest, files: RunFiles) -> HttpResponse:
    """The tree, or with `folder` what is in one that was not drawn yet."""
    folder = name_in(request, "folder")
    context = {
        "run": files.run,
        **files_context(files, path=name_in(request, "file")),
    }
    if not folder:
        return render(request, "runs/_file_tree.html", context)
    found = folder_at(files.files(), folder)
    if found is None:
        raise Http404("The run has no such folder.")
    return render(request, "runs/_file_folder.html", context | {"folder": found})


@require_safe
def output(request: PageRequest, run_id: str) -> HttpResponseBase:
    return _file(request, Outputs(get_run(request, run_id)))


@require_safe
def snapshot_file(request: PageRequest, run_id: str) -> HttpResponseBase:
    return _file(request, SnapshotFiles(get_run(request, run_id)))


def _file(request: PageRequest, files: RunFiles) -> HttpResponseBase:
    """The file `name`: for download, or `as` a preview or an image."""
    path = name_in(request)
    match request.GET.get("as"):
        case "preview":
            return _preview(request, files, path)
        case "image":
            image, kind = image_of(files, path)
            return send_file(request, image, name=_last(path), content_type=kind)
    return send_file(request, files.open(path), name=_last(path))


def _preview(request: PageRequest, files: RunFiles, path: str) -> HttpResponse:
    found = next((file for file in files.files() if file.path == path), None)
    if found is None:
        raise Http404("The run has no such file.")
    context = {"kind": files.kind, "run": files.run, "shown": show(files, found)}
    return render(request, "runs/_file_preview.html", context)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


@require_GET
def outputs_zip(request: PageRequest, run_id: str) -> HttpResponseBase:
    run = get_run(request, run_id)
    pieces = zip_folder(files_folder(run.run_id))
    return send_zip(pieces, name=f"{run.run_id}_outputs.zip")


@require_GET
def snapshot_zip(request: PageRequest, run_id: str) -> HttpResponseBase:
    files = SnapshotFiles(get_run(request, run_id))
    pieces = zip_snapshot(files.manifest, store())
    return send_zip(pieces, name=f"{run_id}_snapshot.zip")
