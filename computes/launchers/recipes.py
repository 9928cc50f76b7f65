"""What a launcher that builds images is told of the environment that a job needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from computes.runner.masking import cover

# Where an image has its environment, and where the files of a build lie meanwhile.
FOLDER, CONTEXT = "/opt/aml-environment", "/aml-build"


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """What an image is made of; `job.json` has it as `image`.

    `dockerfile` is the text of one, whose image takes the place of `base_image`; with
    neither, the target's is the base. Without a `python` nothing is added to the base;
    else an environment with what the `lock` says, and `lock_key` names both. With
    `conda`, the records of its packages as JSON, these are installed before that.
    """

    base_image: str = ""
    dockerfile: str = ""
    python: str = ""
    lock: str = ""
    conda: str = ""
    lock_key: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(**value)


@dataclass(frozen=True, kw_only=True)
class PackageSources:
    """Where a build gets its packages.

    The build finds `files` in `CONTEXT`, by their names there, and `variables` in its
    environment; one of the files may be `uv`, else pip has to do. Only the variables
    have `passwords`, so they go to who builds and never to `job.json`.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict)
    passwords: frozenset[str] = field(default=frozenset(), repr=False)

    def covered(self, text: str) -> str:
        """The text without the passwords."""
        return cover(text, self.passwords)
