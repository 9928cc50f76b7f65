"""The addresses of runs, their files and logs, experiments and the home page."""

from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.urls.converters import StringConverter

from runs import (
    diff_views,
    git_credential_views,
    git_views,
    history_views,
    home_views,
    log_views,
    output_views,
    queue_views,
    run_views,
    secret_views,
    snapshot_views,
    submit_views,
    target_views,
    upload_views,
)
from runs.snapshots import SHA256


class Sha256(StringConverter):
    regex = SHA256.pattern


register_converter(Sha256, "sha256")
_submission = [
    path("new/", submit_views.submit, name="submit"),
    path("new/preview/", submit_views.preview, name="preview"),
    path("new/example/", submit_views.submit_example, name="submit-example"),
    path("snapshots/", upload_views.upload, name="upload"),
    path("snapshots/offer/", upload_views.offer, name="offer"),
    path("snapshots/earlier/", submit_views.earlier, name="earlier"),
    path("snapshots/folder/", upload_views.take_folder, name="take-folder"),
    path(
        "snapshots/earlier/<sha256:sha256>/",
        upload_views.take_earlier,
        name="take-earlier",
    ),
    path("snapshots/git/", git_views.start, name="git-start"),
    path("snapshots/git/<int:pk>/", git_views.look, name="git-look"),
    path("snapshots/git/<int:pk>/stop/", git_views.stop, name="git-stop"),
    path("snapshots/objects/", upload_views.objects, name="objects"),
    path("snapshots/objects/<sha256:sha256>/", upload_views.piece, name="piece"),
    path(
        "snapshots/<sha256:sha256>/preflight/", submit_views.preflight, name="preflight"
    ),
]
_one_run = [
    path("", run_views.detail, name="detail"),
    path("status/", run_views.status, name="status"),
    path("panels/<str:panel>/", run_views.panel, name="panel"),
    path("log-check/", run_views.log_check, name="log-check"),
    path("resources/", run_views.resources, name="resources"),
    path("cancel/", run_views.cancel, name="cancel"),
    path("give-up/", run_views.give_up, name="give-up"),
    path("rename/", run_views.rename, name="rename"),
    path("tags/", run_views.tags, name="tags"),
    path("archive/", run_views.archive, name="archive"),
    path("delete/", run_views.delete, name="delete"),
    path("outputs/", output_views.outputs, name="outputs-tree"),
    path("outputs/file/", output_views.output, name="outputs-file"),
    path("outputs/zip/", output_views.outputs_zip, name="outputs-zip"),
    path("snapshot/", output_views.snapshot, name="snapshot-tree"),
    path("snapshot/file/", output_views.snapshot_file, name="snapshot-file"),
    path("patch/", output_views.patch, name="patch"),
    path("lock/<str:name>", output_views.lock, name="lock"),
    path("snapshot/zip/", output_views.snapshot_zip, name="snapshot-zip"),
    path("log/lines", log_views.lines, name="log-lines"),
    path("log/search", log_views.search, name="log-search"),
    path("log/raw", log_views.raw, name="log-raw"),
]
_one_snapshot = [
    path("", snapshot_views.page, name="snapshot-page"),
    path("tree/", snapshot_views.tree, name="snapshot-page-tree"),
    path("file/", snapshot_views.file, name="snapshot-page-file"),
    path("zip/", snapshot_views.as_zip, name="snapshot-page-zip"),
    path("compare/", snapshot_views.compare, name="snapshot-compare"),
]
_one_diff = [
    path("", diff_views.page, name="snapshot-diff"),
    path("file/", diff_views.file, name="snapshot-diff-file"),
    path("lines/", diff_views.lines, name="snapshot-diff-lines"),
]
_git_credentials = [
    path("", git_credential_views.credentials, name="git-credentials"),
    path("new/", git_credential_views.new, name="git-credential-new"),
    path("<int:pk>/remove/", git_credential_views.remove, name="git-credential-remove"),
    path("keys/new/", git_credential_views.new_key, name="git-key-new"),
]
_secrets = [
    path("", secret_views.secrets, name="secrets"),
    path("new/", secret_views.new, name="secret-new"),
    path("<int:pk>/remove/", secret_views.remove, name="secret-remove"),
]
_one_git_key = [
    path("confirm/", git_credential_views.confirm, name="git-key-confirm"),
    path("remove/", git_credential_views.remove_key, name="git-key-remove"),
]
_runs: list[URLPattern | URLResolver] = [
    path("runs/", history_views.run_list, name="list"),
    path("runs/bulk/", history_views.bulk, name="bulk"),
    path("runs/", include(_submission)),
    path("runs/<str:run_id>/", include(_one_run)),
    path("snapshots/<sha256:sha256>/", include(_one_snapshot)),
    path(
        "environments/<str:name>/<int:version>/build/",
        submit_views.build_environment,
        name="build-environment",
    ),
    path("git-credentials/", include(_git_credentials)),
    path("secrets/", include(_secrets)),
    path("snapshots/<sha256:before>/diff/<sha256:after>/", include(_one_diff)),
    path("git-credentials/keys/<int:pk>/", include(_one_git_key)),
    path("compute/<str:name>/detach/", target_views.detach, name="detach-target"),
    path("compute/<str:name>/leftovers/", target_views.leftovers, name="leftovers"),
    path(
        "compute/<str:name>/leftovers/end/",
        target_views.end_leftover,
        name="end-leftover",
    ),
    path(
        "compute/<str:name>/leftovers/remove/",
        target_views.remove_idle_build,
        name="remove-build",
    ),
    path("compute/<str:name>/queue/", queue_views.queue, name="queue"),
    path("compute/<str:name>/queue/change/", queue_views.change, name="change-queue"),
    path("experiments/", history_views.experiments, name="experiments"),
    path("experiments/<str:name>/", history_views.experiment, name="experiment"),
]
urlpatterns = [
    path("", home_views.home, name="home"),
    path("", include((_runs, "runs"))),
]
