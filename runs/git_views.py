"""A git repository as the source of a run: fetch it, look how far it is, stop it."""

from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe

from aml_portal.errors import UserError
from aml_portal.sizes import spell_size
from runs import git_imports
from runs.models import GitImport
from runs.requests import PageRequest
from runs.transfers import Arrival, remember
from runs.upload_views import refusal

_State = GitImport.State


@require_POST
def start(request: PageRequest) -> JsonResponse:
    """Begin to fetch; the answer has the address at which to look how far it is."""
    try:
        asked_for = git_imports.ask_for(
            request.user,
            address=request.POST.get("address", ""),
            reference=request.POST.get("reference", ""),
            folder=request.POST.get("folder", ""),
        )
    except UserError as error:
        return refusal(error)
    return JsonResponse({"import": asked_for.pk})


@require_safe
def look(request: PageRequest, pk: int) -> JsonResponse:
    """What has become of it: `found` is there once all is kept."""
    asked_for = get_object_or_404(GitImport, pk=pk, owner=request.user)
    match asked_for.state:
        case _State.DONE:
            arrival = Arrival.from_json(asked_for.arrival)
            remember(request.session, asked_for.answer["snapshot"], arrival)
            return JsonResponse({"found": asked_for.answer})
        case _State.FAILED:
            return refusal(UserError(asked_for.message, asked_for.advice))
        case _State.STOPPED:
            return refusal(UserError("The fetching was stopped."))
    return JsonResponse({"said": _progress(asked_for)})


@require_POST
def stop(request: PageRequest, pk: int) -> JsonResponse:
    git_imports.stop(get_object_or_404(GitImport, pk=pk, owner=request.user))
    return JsonResponse({})


def _progress(asked_for: GitImport) -> str:
    if asked_for.state == _State.WAITING:
        return "Waiting for other repositories to be fetched…"
    received = asked_for.received_bytes
    return f"Fetching… {spell_size(received)} so far" if received else "Fetching…"
