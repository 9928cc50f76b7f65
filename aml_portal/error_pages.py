"""What people see of an error: its own words, or an id if the portal is at fault."""

import logging
import secrets

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template import loader
from django.utils.deprecation import MiddlewareMixin

from aml_portal.errors import PortalError, UserError

_log = logging.getLogger(__name__)


class PortalErrorMiddleware(MiddlewareMixin):
    """Shows the words of a PortalError that no view has an answer of its own for."""

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        if not isinstance(error, PortalError):
            return None
        # What else has words is the fault of something that the portal asked.
        status = 400 if isinstance(error, UserError) else 502
        if is_by_script(request):
            # portal.js shows this to the person.
            return HttpResponse(
                str(error), status=status, content_type="text/plain; charset=utf-8"
            )
        return render(request, "portal_error.html", {"error": error}, status=status)


def is_by_script(request: HttpRequest) -> bool:
    """Whether the answer is for htmx or another script, which want no whole page."""
    by_script = request.headers.get("Sec-Fetch-Dest") == "empty"
    return by_script or "HX-Request" in request.headers


def server_error(request: HttpRequest) -> HttpResponse:
    """Show a short id only, by which the traceback is found in the log.

    Rendered without the request, since what looks at it may be what failed.
    """
    error_id = secrets.token_hex(4)
    _log.error("Error %s at %s %s:", error_id, request.method, request.path)
    try:
        page = loader.get_template("500.html").render({"error_id": error_id})
    except Exception:
        _log.exception("The page for error %s can't be shown:", error_id)
        page = f"Something went wrong in the portal. Its log tells what: {error_id}"
    return HttpResponseServerError(page)
