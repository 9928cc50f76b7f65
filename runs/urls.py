"""The addresses of runs, their files and logs, experiments and the home page."""

from collections.abc import Callable
from importlib import import_module

from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path


def _view(dotted: str) -> Callable[..., HttpResponseBase]:
    module, _, name = dotted.rpartition(".")

    def view(request: HttpRequest, **captured: str) -> HttpResponseBase:
        found: Callable[..., HttpResponseBase] = getattr(import_module(module), name)
        return found(request, **captured)

    return view


_submit = "runs.submit_views."
_run = "runs.run_views."
_output = "runs.output_views."
_log = "runs.log_views."
_history = "runs.history_views."

_submission = [
    path("new/", _view(_submit + "submit"), name="submit"),
    path("new/preview/", _view(_submit + "preview"), name="preview"),
    path("new/example/", _view(_submit + "submit_example"), name="submit-example"),
    path("snapshots/", _view(_submit + "upload"), name="upload"),
]
_one_run = [
    path("", _view(_run + "detail"), name="detail"),
    path("status/", _view(_run + "status"), name="status"),
    path("panels/<str:panel>/", _view(_run + "panel"), name="panel"),
    path("log-check/", _view(_run + "log_check"), name="log-check"),
    path("resources/", _view(_run + "resources"), name="resources"),
    path("cancel/", _view(_run + "cancel"), name="cancel"),
    path("rename/", _view(_run + "rename"), name="rename"),
    path("tags/", _view(_run + "tags"), name="tags"),
    path("archive/", _view(_run + "archive"), name="archive"),
    path("delete/", _view(_run + "delete"), name="delete"),
    path("outputs/", _view(_output + "outputs"), name="outputs"),
    path("outputs/file/", _view(_output + "output"), name="output"),
    path("outputs/zip/", _view(_output + "outputs_zip"), name="outputs-zip"),
    path("snapshot/", _view(_output + "snapshot"), name="snapshot"),
    path("snapshot/file/", _view(_output + "snapshot_file"), name="snapshot-file"),
    path("snapshot/zip/", _view(_output + "snapshot_zip"), name="snapshot-zip"),
    path("log/lines", _view(_log + "lines"), name="log-lines"),
    path("log/search", _view(_log + "search"), name="log-search"),
    path("log/raw", _view(_log + "raw"), name="log-raw"),
]
_runs: list[URLPattern | URLResolver] = [
    path("runs/", _view(_history + "run_list"), name="list"),
    path("runs/bulk/", _view(_history + "bulk"), name="bulk"),
    path("runs/", include(_submission)),
    path("runs/<str:run_id>/", include(_one_run)),
    path("experiments/", _view(_history + "experiments"), name="experiments"),
    path("experiments/<str:name>/", _view(_history + "experiment"), name="experiment"),
]
urlpatterns = [
    path("", _view("runs.home_views.home"), name="home"),
    path("", include((_runs, "runs"))),
]
