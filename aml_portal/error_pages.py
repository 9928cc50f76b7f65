"""The page for an error that is the portal's own fault."""

import logging
import secrets

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template import loader

_log = logging.getLogger(__name__)


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
