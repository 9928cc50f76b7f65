"""The type of a request as views get it: of a signed-in person, with htmx's facts."""

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class PageRequest(HttpRequest):
    """For annotations only: the middleware has put both there."""

    user: User
    htmx: HtmxDetails
