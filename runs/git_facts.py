"""What git knows of a source: repository, branch, commit, and what is not committed.

A run's properties have it under the names that Azure ML uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Self

from runs.git_addresses import without_credentials
from runs.git_folder import COMMIT, GitFolder, find_places
from runs.snapshots import Store

_LONGEST = 2000
_OVERRIDE = "AZUREML_GIT_"
_TRUE = {"1", "true"}


@dataclass(frozen=True, kw_only=True)
class GitFacts:
    """What is empty, or None, is not known.

    `patch` is the SHA-256 of an object in the store: with it, the commit becomes the
    source. The build is only known from variables.
    """

    repository: str = ""
    branch: str = ""
    commit: str = ""
    dirty: bool | None = None
    patch: str = ""
    build_id: str = ""
    build_uri: str = ""

    @classmethod
    def offered(cls, said: Mapping[str, object]) -> Self:
        """What a client says of a source; what no git would say is left out."""
        text = {name: _line(said.get(name)) for name in ("repository", "branch")}
        commit, dirty = said.get("commit"), said.get("dirty")
        return cls(
            repository=without_credentials(text["repository"]),
            branch=text["branch"],
            commit=commit
            if isinstance(commit, str) and COMMIT.fullmatch(commit)
            else "",
            dirty=dirty if isinstance(dirty, bool) else None,
        )

    @classmethod
    def recorded(cls, properties: Mapping[str, str], patch: str) -> Self:
        """What a run has kept of a source; a build is of that run alone."""
        said = {
            name: properties.get(f"azureml.git.{name}", "")
            for name in ("branch", "commit", "dirty")
        }
        return cls(
            repository=properties.get("azureml.git.repository_uri", ""),
            branch=said["branch"],
            commit=said["commit"],
            dirty={"True": True, "False": False}.get(said["dirty"]),
            patch=patch,
        )

    def overridden(self, variables: Mapping[str, str]) -> Self:
        """With what AZUREML_GIT_… variables say instead, as in Azure ML."""
        given = {
            name: _line(variables.get(_OVERRIDE + name.upper()))
            for name in ("branch", "commit", "dirty", "build_id", "build_uri")
        }
        uri = _line(variables.get(f"{_OVERRIDE}REPOSITORY_URI"))
        changes: dict[str, Any] = {
            "repository": without_credentials(uri),
            **given,
            "dirty": given["dirty"].lower() in _TRUE if given["dirty"] else None,
        }
        return replace(
            self, **{k: v for k, v in changes.items() if v not in ("", None)}
        )

    def properties(self) -> dict[str, str]:
        dirty = "" if self.dirty is None else str(self.dirty)
        named = {
            "azureml.git.repository_uri": self.repository,
            "mlflow.source.git.repoURL": self.repository,
            "azureml.git.branch": self.branch,
            "mlflow.source.git.branch": self.branch,
            "azureml.git.commit": self.commit,
            "mlflow.source.git.commit": self.commit,
            "azureml.git.dirty": dirty,
            "azureml.git.build_id": self.build_id,
            "azureml.git.build_uri": self.build_uri,
        }
        return {name: value for name, value in named.items() if value}


def read_facts(
    folder: Path,
    environment: Mapping[str, str],
    store: Store,
    *,
    within: Path = Path("/"),
) -> GitFacts:
    """What git knows of `folder`, wherever the process is; nothing is written there.

    A repository that `folder` is a part of has to be below `within`. What can't be read
    is left out.
    """
    found = find_places(folder, within)
    facts = GitFacts()
    if found is not None:
        with GitFolder.opened(found, folder) as git:
            facts = GitFacts(
                repository=without_credentials(git.repository()),
                branch=git.branch,
                commit=git.commit,
                dirty=git.is_dirty(),
            )
            if facts.dirty and facts.commit:
                patch = store.put(BytesIO(git.patch()))
                facts = replace(facts, patch=patch.sha256)
    return facts.overridden(environment)


def _line(value: object) -> str:
    """The value if it is a line of text, of no odd length."""
    is_line = isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()
    return str(value).strip() if is_line else ""
