"""The images that environments are, as the engine is told to build them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Self

from django.conf import settings as portal

from computes.launchers.docker.settings import check_image
from computes.launchers.recipes import CONTEXT, FOLDER, ImageRecipe, PackageSources
from computes.runner import RUNNER, pins

REPOSITORY = "aml-environment"
# Of an image that was built: what it is, what it was built on, and for whom.
KEY, BASE, PORTAL = "aml-portal.environment", "aml-portal.base", "aml-portal.portal"
# Of the stage that sees indexes and certificates, and is removed afterwards: for whom,
# and the key of the image.
STAGE = "aml-portal.stage"

# Docker knows these itself: undeclared, no image has them in its history.
PROXIES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy"),
)
_SURROUNDINGS = {
    "UV_CACHE_DIR": f"{CONTEXT}/cache",
    "UV_LINK_MODE": "copy",
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
# The environment of what installs packages of conda.
_INSTALLER = f"{CONTEXT}/installer"
_LOCK, _CONDA = "lock-{}.txt", "conda.json"
# What installs them.
_PROGRAM = RUNNER.with_name("conda.py")


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
        recipe = image.recipe
        commands = _commands(recipe, sources, python)
        lines = _lines(image, image.base, sources, commands)
        _add(archive, "Dockerfile", "\n".join(lines))
        for number, (_, part) in enumerate(pins.steps(recipe.lock)):
            _add(archive, _LOCK.format(number), part)
        if recipe.conda:
            _add(archive, _CONDA, _conda_of(recipe))
            _add(archive, _PROGRAM.name, _PROGRAM.read_text())
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
    tools = _Tools(uv=f"{CONTEXT}/uv" if "uv" in sources.files else "", python=python)
    if recipe.conda:
        yield tools.make(_INSTALLER, ">=3.10")
        yield tools.install(_INSTALLER, [*pins.HASHED, f"{CONTEXT}/rattler.txt"])
        conda = [f"{CONTEXT}/{_PROGRAM.name}", f"{CONTEXT}/{_CONDA}"]
        yield [f"{_INSTALLER}/bin/python", "-I", *conda]
    else:
        yield tools.make(FOLDER, recipe.python)
    for number, (options, _) in enumerate(pins.steps(recipe.lock)):
        lock = f"{CONTEXT}/{_LOCK.format(number)}"
        yield tools.install(FOLDER, [*options, lock])


@dataclass(frozen=True, kw_only=True)
class _Tools:
    """uv, or where there is none for the processor the base's Python with its pip."""

    uv: str
    python: str

    def make(self, folder: str, version: str) -> list[str]:
        if not self.uv:
            return [self.python, "-m", "venv", folder]
        make = [self.uv, "venv", "--no-project", "--allow-existing"]
        return [*make, "--python", version, folder]

    def install(self, folder: str, what: Sequence[str]) -> list[str]:
        python = f"{folder}/bin/python"
        install = [python, "-m", "pip", "install"]
        if self.uv:
            # A Python of conda may say that it is managed by others.
            install = [self.uv, "pip", "install", "--break-system-packages"]
            install += ["--python", python, "--compile-bytecode"]
        return [*install, *what]


def _conda_of(recipe: ImageRecipe) -> str:
    """What conda.py is told."""
    cache, records = f"{CONTEXT}/cache/conda", json.loads(recipe.conda)
    return json.dumps({"records": records, "folder": FOLDER, "cache": cache})


def _lines(
    image: Image,
    base: Image,
    sources: PackageSources,
    commands: Iterator[list[str]],
) -> Iterator[str]:
    """A Dockerfile whose last stage has nothing of where the packages came from."""
    yield f"FROM {base.name} AS build"
    yield f"LABEL {STAGE}={stage_of(image.key)}"
    yield "USER 0"
    declared = {*sources.variables} - {*PROXIES}
    yield from (f"ARG {name}" for name in sorted(declared))
    yield from (f"ENV {name}={value}" for name, value in _SURROUNDINGS.items())
    # A Python that the base has not is brought, and has to come along, unless conda
    # has one.
    place = CONTEXT if image.recipe and image.recipe.conda else FOLDER
    yield f"ENV UV_PYTHON_INSTALL_DIR={place}/python"
    yield f"COPY . {CONTEXT}/"
    for command in commands:
        # Without a shell, which the base may lack.
        yield f"RUN {json.dumps(command)}"
    yield f"FROM {base.name}"
    yield f"COPY --from=build {FOLDER} {FOLDER}"
    yield f"ENV PATH={FOLDER}/bin:$PATH"
    if image.recipe and image.recipe.conda:
        # What programs of conda find their files by.
        yield f"ENV CONDA_PREFIX={FOLDER}"


def _add(archive: tarfile.TarFile, name: str, content: str) -> None:
    data = content.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


def labels_of(image: Image, base: str) -> dict[str, str]:
    """Of an image on top of the one whose id is `base`."""
    return {KEY: image.key, BASE: base, PORTAL: portal.PORTAL_ID}


def stage_of(key: str) -> str:
    """The label of the stage for an image; another portal may be at one, too."""
    return f"{portal.PORTAL_ID}.{key}"
