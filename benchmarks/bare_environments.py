"""An environment as uv and pip make it by themselves, of the same packages."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.targets import LINE, ONE_LINE
from environments.uv import program

PACKAGES = ("numpy", "pandas", "scikit-learn")
PYTHON = ".".join(platform.python_version_tuple()[:2])


def resolve(environment: Mapping[str, str] = {}, *, cache: Path | None = None) -> str:
    """The text of a lock of the packages; without `environment`, of the usual index."""
    command = [str(program()), "pip", "compile", "-", "--generate-hashes", "--no-build"]
    options = ["--cache-dir", str(cache)] if cache else []
    done = subprocess.run(
        [*command, "--no-header", "--python-version", PYTHON, *options],
        input="\n".join(PACKAGES),
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    return str(done.stdout)


class Bare:
    """Makes the environment in a folder, from an index on the disk and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "environment"
        self._cache = folder / "cache"
        self._script = folder / "train.py"
        self._lock = folder / "lock.txt"
        self._index = folder / "index"
        self._script.write_text(ONE_LINE)
        self._lock.write_text(resolve())
        self._download()

    @property
    def settings(self) -> dict[str, str]:
        """For uv and pip: this index, and nothing that the account has configured."""
        return {
            "UV_NO_CONFIG": "1",
            "UV_DEFAULT_INDEX": self._index.as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self._index.as_uri(),
            "PIP_FIND_LINKS": "",
        }

    @property
    def portal_settings(self) -> dict[str, str]:
        """The same for a portal."""
        return {
            "AML_PORTAL_PYTHON_INDEX": self._index.as_uri(),
            "UV_NO_CONFIG": "1",
        }

    def by_uv(self, *, forgets: bool = True, resolves: bool = False) -> float:
        """Seconds to the first line of a script in a new environment.

        uv `forgets` the packages that it has in its cache, and `resolves` them anew.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        if forgets:
            shutil.rmtree(self._cache, ignore_errors=True)
        uv = str(program())
        begin = time.perf_counter()
        if resolves:
            resolve(self.settings, cache=self._cache)
        self._run(uv, "venv", "--no-project", "--python", PYTHON, str(self._folder))
        self._run(
            *(uv, "pip", "install", "--python", self._python),
            *("--no-deps", "--require-hashes", "-r", str(self._lock)),
        )
        return self._first_line(begin)

    def by_pip(self) -> float:
        shutil.rmtree(self._folder, ignore_errors=True)
        begin = time.perf_counter()
        self._run(sys.executable, "-m", "venv", str(self._folder))
        self._run(
            *(self._python, "-m", "pip", "install", "--no-input"),
            *("--no-deps", "--require-hashes", "-r", str(self._lock)),
        )
        return self._first_line(begin)

    @property
    def _python(self) -> str:
        return str(self._folder / "bin" / "python")

    def _first_line(self, begin: float) -> float:
        printed = self._run(self._python, "-u", str(self._script))
        assert LINE in printed
        return time.perf_counter() - begin

    def _download(self) -> None:
        """Make an index of the wheels, which names their hashes as others do."""
        wheels = self._index / "wheels"
        pip = [sys.executable, "-m", "pip", "--quiet", "--quiet", "download"]
        options = ["--only-binary=:all:", "--no-deps", "-r", str(self._lock)]
        subprocess.run([*pip, *options, "--dest", str(wheels)], check=True)
        for wheel in wheels.iterdir():
            name = wheel.name.partition("-")[0].replace("_", "-")
            sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
            page = self._index / name / "index.html"
            page.parent.mkdir()
            page.write_text(
                f'<a href="{wheel.as_uri()}#sha256={sha256}">{wheel.name}</a>'
            )

    def _run(self, *command: str) -> bytes:
        own = {**self.settings, "UV_CACHE_DIR": str(self._cache)}
        done = subprocess.run(
            command, env={**os.environ, **own}, check=True, capture_output=True
        )
        return done.stdout
