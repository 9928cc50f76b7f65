"""What a client sends of a source: what it has, then what of it is lacking here.

1. `offer`: the manifest; the answer names what is lacking. If that is nothing, the
   snapshot is kept.
2. `objects`: many small files at once; `piece`: a part of a large one, which goes on
   where it stopped.
3. `offer` once more.
"""

from django.http import HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST

from aml_portal.errors import UserError
from runs import uploads
from runs.models import Snapshot
from runs.requests import PageRequest
from runs.snapshots import OtherPlaceError, Partials, read_objects
from runs.storage import limits, store

_MOST_DIGITS = 15


@require_POST
def upload(request: PageRequest) -> JsonResponse:
    """Keep the archive, or the file called `name`, that is the request's body."""
    try:
        kept = uploads.take_body(request, request.GET.get("name", "") or "upload")
    except UserError as error:
        return refusal(error)
    return JsonResponse(kept.to_json())


@require_POST
def offer(request: PageRequest) -> JsonResponse:
    """Say what of the offered manifest is lacking, or keep the snapshot."""
    try:
        found = uploads.take_offer(request, request.GET.get("name", "") or "files")
    except UserError as error:
        return refusal(error)
    return JsonResponse(found.to_json())


@require_POST
def objects(request: PageRequest) -> JsonResponse:
    """Keep the files in a tar archive, each named by its SHA-256."""
    try:
        with uploads.body_of(request) as body:
            count = read_objects(body, store(), limits())
    except UserError as error:
        return refusal(error)
    return JsonResponse({"kept": count})


@require_http_methods(["GET", "POST"])
def piece(request: PageRequest, sha256: str) -> HttpResponseBase:
    """Add the body to a file of `size` at `offset`; how much of it is here.

    409 if the piece belongs elsewhere; the answer says where to go on.
    """
    size, offset = _number(request, "size"), _number(request, "offset")
    if size is None or size > limits().max_bytes:
        return HttpResponseBadRequest("There is no such object.")
    partials = Partials(store(), str(request.user.pk))
    if request.method == "GET" or offset is None:
        return JsonResponse({"received": partials.received(sha256, size)})
    try:
        with uploads.body_of(request) as body:
            received = partials.add(sha256, size, offset, body)
    except OtherPlaceError as error:
        return JsonResponse({"received": error.received}, status=409)
    except UserError as error:
        return refusal(error)
    return JsonResponse({"received": received})


@require_POST
def take_folder(request: PageRequest) -> JsonResponse:
    """Keep the folder of this machine that `path` names."""
    try:
        kept = uploads.take_folder(request, request.POST.get("path", ""))
    except UserError as error:
        return refusal(error)
    return JsonResponse(kept.to_json())


@require_POST
def take_earlier(request: PageRequest, sha256: str) -> JsonResponse:
    """Describe a snapshot that is kept already, as if it had just been sent."""
    snapshot = get_object_or_404(Snapshot, pk=sha256)
    try:
        return JsonResponse(uploads.again(snapshot).to_json())
    except UserError as error:
        return refusal(error)


def refusal(error: UserError) -> JsonResponse:
    """Why something is not taken, for a page's script or a client."""
    answer = {"error": error.message, "advice": error.advice}
    return JsonResponse(answer, status=422)


def _number(request: PageRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    is_number = value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS
    return int(value) if is_number else None
