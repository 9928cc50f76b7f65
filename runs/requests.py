"""Requests as views get them: of a signed-in person, for a page or a part of one."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """For annotations only: the middleware has put both there."""

    user: User
    htmx: HtmxDetails


def render_part(
    request: PageRequest, part: str, page: str, context: dict[str, Any]
) -> HttpResponse:
    """The template `part` for htmx, which swaps it in, else the `page` around it.

    Both have one address; a browser that goes back must not show the one it has kept
    in place of the other.
    """
    wants_part = request.htmx and not request.htmx.history_restore_request
    response = render(request, part if wants_part else page, context)
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    return response
