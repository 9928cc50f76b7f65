"""Static files under names that carry their hash, and how they are sent."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Lets browsers keep every file for ever, since a changed file has a new name.

    The imports of our own modules get the new names too. Not those of other packages,
    as support_js_module_import_aggregation would: it trips over their comments.
    """

    _OWN_MODULES = "js/*.js"
    _MODULE_PATTERNS = ManifestFilesMixin._js_module_import_aggregation_patterns[1]  # type: ignore[attr-defined]
    patterns = (*ManifestFilesMixin.patterns, (_OWN_MODULES, _MODULE_PATTERNS))


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Sends each file in one piece: a file as a stream is slow under ASGI."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        content = b""
        if found.file is not None:
            with found.file:
                content = found.file.read()
        response = HttpResponse(content, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


def collect_static() -> bool:
    """Run collectstatic if a source has changed since; whether it was run."""
    stamp = Path(settings.STATIC_ROOT) / ".sources"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(wanted)
    return True


def _fingerprint() -> str:
    found = hashlib.sha256()
    for file in sorted(_sources()):
        status = file.stat()
        found.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return found.hexdigest()


def _sources() -> Iterator[Path]:
    for finder in get_finders():
        for name, storage in finder.list(["CVS", ".*", "*~"]):
            yield Path(storage.path(name))
