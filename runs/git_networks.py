"""Which hosts git may connect to."""

from django.conf import settings

from aml_portal.networks import Outside


def outside() -> Outside:
    return Outside(allowed=settings.GIT_HOSTS, setting="AML_PORTAL_GIT_HOSTS")
