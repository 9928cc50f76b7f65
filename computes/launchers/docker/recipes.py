"""The images that environments are, as the engine is told to build them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Self

from computes.launchers.docker.settings import check_image
from computes.launchers.recipes import CONTEXT, FOLDER, ImageRecipe, PackageSources

REPOSITORY = "aml-environment"
# Of an image that was built: what it is, what it was built on, and for whom.
KEY, BASE, PORTAL = "aml-portal.environment", "aml-portal.base", "aml-portal.portal"
# Of the stage that sees indexes and certificates, and is removed afterwards.
STAGE = "aml-portal.stage"

# Docker knows these itself: undeclared, no image has them in its history.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_SURROUNDINGS = {
    "UV_CACHE_DIR": f"{CONTEXT}/cache",
    # A Python that the base has not is brought, and has to come along.
    "UV_PYTHON_INSTALL_DIR": f"{FOLDER}/python",
    "UV_LINK_MODE": "copy",
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
_PYTHON = f"{FOLDER}/bin/python"
_LOCK = "lock.txt"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that there is to be: one of a registry, or one that is built.

    `base` is what it is built on, `recipe` what of; a `recipe` without packages is that
    of a Dockerfile, which has no base that anybody but the engine knows.
    """

    name: str
    key: str = ""
    base: "Image | None" = None
    recipe: ImageRecipe | None = None

    @classmethod
    def of(cls, recipe: ImageRecipe, *, chosen: str, default: str) -> Self:
        """`chosen` is the base that the run itself names. Raises UserError."""
        if recipe.dockerfile and not chosen:
            base = cls._built("dockerfile", recipe.dockerfile, recipe=recipe)
        else:
            base = cls(name=chosen or recipe.base_image or default)
            check_image(base.name)
        if not recipe.python:
            return base
        return replace(cls._built(recipe.lock_key, base.name, recipe=recipe), base=base)

    @classmethod
    def _built(cls, *what: str, recipe: ImageRecipe) -> Self:
        key = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]
        return cls(name=f"{REPOSITORY}:{key}", key=key, recipe=recipe)


def context_of(
    image: Image, sources: PackageSources, file: IO[bytes], *, python: str
) -> None:
    """Write what the build of an image needs, as a tar.

    `python` is that of the base, which is used where there is no uv.
    """
    assert image.recipe is not None, "Only what has a recipe is built."
    with tarfile.open(fileobj=file, mode="w") as archive:
        if image.base is None:
            _add(archive, "Dockerfile", image.recipe.dockerfile)
            return
        commands = _commands(image.recipe, sources, python)
        lines = _lines(image, image.base, sources, commands)
        _add(archive, "Dockerfile", "\n".join(lines))
        _add(archive, _LOCK, image.recipe.lock)
        for name, path in sources.files.items():
            entry = archive.gettarinfo(str(path.resolve()), name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            with path.open("rb") as content:
                archive.addfile(entry, content)


def arguments_of(image: Image, sources: PackageSources) -> dict[str, str]:
    """The build's arguments: to a Dockerfile of somebody's, only the proxies go."""
    return {
        name: value
        for name, value in sources.variables.items()
        if image.base is not None or name in PROXIES
    }


def _commands(
    recipe: ImageRecipe, sources: PackageSources, python: str
) -> Iterator[list[str]]:
    """What makes the environment, one after another."""
    lock = f"{CONTEXT}/{_LOCK}"
    if "uv" in sources.files:
        uv = f"{CONTEXT}/uv"
        make = [uv, "venv", "--no-project", "--allow-existing"]
        yield [*make, "--python", recipe.python, FOLDER]
        install = [uv, "pip", "install", "--python", _PYTHON, "--compile-bytecode"]
    else:
        yield [python, "-m", "venv", FOLDER]
        install = [_PYTHON, "-m", "pip", "install"]
    if recipe.lock.strip():
        yield [*install, "--no-deps", "--require-hashes", "-r", lock]


def _lines(
    image: Image,
    base: Image,
    sources: PackageSources,
    commands: Iterator[list[str]],
) -> Iterator[str]:
    """A Dockerfile whose last stage has nothing of where the packages came from."""
    yield f"FROM {base.name} AS build"
    yield f"LABEL {STAGE}={image.key}"
    yield "USER 0"
    declared = {*sources.variables} - {*PROXIES}
    yield from (f"ARG {name}" for name in sorted(declared))
    yield from (f"ENV {name}={value}" for name, value in _SURROUNDINGS.items())
    yield f"COPY . {CONTEXT}/"
    for command in commands:
        # Without a shell, which the base may lack.
        yield f"RUN {json.dumps(command)}"
    yield f"FROM {base.name}"
    yield f"COPY --from=build {FOLDER} {FOLDER}"
    yield f"ENV PATH={FOLDER}/bin:$PATH"


def _add(archive: tarfile.TarFile, name: str, content: str) -> None:
    data = content.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


def labels_of(image: Image, base: str, portal: str) -> dict[str, str]:
    """Of an image on top of the one whose id is `base`."""
    return {KEY: image.key, BASE: base, PORTAL: portal}
