"""The first page: what runs now, what ran lately, and where."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from computes.models import ComputeTarget
from runs.models import Run
from runs.requests import PageRequest, render_part
from runs.status import TERMINAL
from runs.target_counts import with_run_counts

_SHOWN_ACTIVE = 20
_SHOWN_RECENT = 10


@require_GET
def home(request: PageRequest) -> HttpResponse:
    """The whole page, or for htmx only what changes by itself."""
    return render_part(request, "_home_runs.html", "home.html", _context())


def _context() -> dict[str, Any]:
    runs = Run.objects.with_names().filter(archived_at=None)
    active = runs.active()
    return {
        "active": active[:_SHOWN_ACTIVE],
        "active_count": active.count(),
        "recent": runs.filter(status__in=TERMINAL)[:_SHOWN_RECENT],
        "targets": with_run_counts(ComputeTarget.objects.attached()),
        "has_example": (settings.BASE_DIR / "examples" / "digits").is_dir(),
    }
