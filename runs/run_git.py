"""What the run page shows of the source's commit."""

from dataclasses import dataclass
from functools import cached_property

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from aml_portal.errors import UserError
from runs.git_addresses import commit_address, web_address
from runs.highlight import lines
from runs.models import Run
from runs.storage import store

# A patch can have megabytes; so much of it stands on the page.
_MOST_SHOWN = 100_000


@dataclass(kw_only=True)
class RunGit:
    run: Run

    def __bool__(self) -> bool:
        return bool(self.repository or self.commit or self.branch)

    @property
    def repository(self) -> str:
        return self._property("repository_uri")

    @property
    def branch(self) -> str:
        return self._property("branch")

    @property
    def commit(self) -> str:
        return self._property("commit")

    @property
    def page(self) -> str:
        return web_address(self.repository)

    @property
    def commit_page(self) -> str:
        return commit_address(self.repository, self.commit)

    @property
    def changes(self) -> str:
        words = {"True": "Yes", "False": "None"}
        # A browser has the names of commits, not what is in them.
        unknown = "Not known: a dropped folder is not compared with its commit"
        return words.get(self._property("dirty"), unknown)

    @property
    def patch_url(self) -> str:
        if not self.run.git_patch:
            return ""
        return reverse("runs:patch", args=[self.run.run_id])

    @property
    def patch(self) -> SafeString:
        """The beginning of it, in colours."""
        text = self._beginning[:_MOST_SHOWN].decode(errors="replace")
        return mark_safe("\n".join(lines("changes.patch", text)))  # noqa: S308

    @property
    def is_cut(self) -> bool:
        return len(self._beginning) > _MOST_SHOWN

    @cached_property
    def _beginning(self) -> bytes:
        if not self.run.git_patch:
            return b""
        try:
            with store().open(self.run.git_patch) as file:
                return file.read(_MOST_SHOWN + 1)
        except UserError:
            return b""

    def _property(self, name: str) -> str:
        return str(self.run.properties.get(f"azureml.git.{name}", ""))
