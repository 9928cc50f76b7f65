"""What a launcher that builds images is told of the environment that a job needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

# Where an image has its environment, and where the files of a build lie meanwhile.
FOLDER, CONTEXT = "/opt/aml-environment", "/aml-build"


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """What an image is made of; `job.json` has it as `image`.

    `dockerfile` is the text of one, whose image takes the place of `base_image`; with
    neither, the target's is the base. Without a `python` nothing is added to the base;
    else a virtual environment with what the `lock` says, and `lock_key` names both.
    """

    base_image: str = ""
    dockerfile: str = ""
    python: str = ""
    lock: str = ""
    lock_key: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(**value)


@dataclass(frozen=True, kw_only=True)
class PackageSources:
    """Where a build gets its packages.

    It has passwords, so it goes to who builds and never to `job.json`; those are
    `hidden` in all that the build says. It finds `files` in `CONTEXT`, by their names
    there, and `variables` in its environment; one of the files may be `uv`, else pip
    has to do.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    hidden: Sequence[str] = ()
