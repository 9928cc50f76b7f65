"""Static files under names that carry their hash, ES module imports included."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Lets browsers keep every file for ever, since a changed file has a new name."""

    support_js_module_import_aggregation = True
