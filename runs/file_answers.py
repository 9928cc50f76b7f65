"""Answers about files, whosever they are: their tree, one of them, a preview of it."""

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render

from runs.file_names import name_in
from runs.file_panel import Wanted, files_context, image_of, show, wanted_in
from runs.file_tree import folder_at
from runs.requests import PageRequest
from runs.run_files import Files
from runs.streaming import send_file

# Whatever the file holds, a browser shows its characters and does nothing with them.
_RAW = "text/plain; charset=utf-8"


def answer_tree(request: PageRequest, files: Files, **more: Any) -> HttpResponse:
    """The tree, or with `folder` what is in one that was not drawn yet."""
    folder = name_in(request, "folder")
    wanted = Wanted(path=name_in(request, "file"))
    context = {**more, **files_context(files, wanted)}
    if not folder:
        return render(request, "runs/_file_tree.html", context)
    found = folder_at(files.files(), folder)
    if found is None:
        raise Http404("There is no such folder.")
    return render(request, "runs/_file_folder.html", context | {"folder": found})


def answer_file(request: PageRequest, files: Files) -> HttpResponseBase:
    """The file `name`: for download, or `as` a preview, an image or its raw text."""
    path = name_in(request)
    match request.GET.get("as"):
        case "preview":
            return _preview(request, files)
        case "raw":
            file = files.open(path)
            return send_file(request, file, name=_last(path), content_type=_RAW)
        case "image":
            image, kind = image_of(files, path)
            return send_file(request, image, name=_last(path), content_type=kind)
    return send_file(request, files.open(path), name=_last(path))


def _preview(request: PageRequest, files: Files) -> HttpResponse:
    wanted = wanted_in(request, "name")
    found = next((file for file in files.files() if file.path == wanted.path), None)
    if found is None:
        raise Http404("There is no such file.")
    context = {"kind": files.kind, "shown": show(files, found, wanted)}
    return render(request, "runs/_file_preview.html", context)


def _last(path: str) -> str:
    return path.rpartition("/")[2]
