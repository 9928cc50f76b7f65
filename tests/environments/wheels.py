"""Packages that the tests make, in a folder that serves as an index."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


class Wheels:
    """A folder of wheels; `lock` pins some of them as `uv pip compile` would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def as_index(self) -> Path:
        """A folder to be served as an index, with a page of links for each package."""
        folder = self.folder.parent
        for path in self.folder.iterdir():
            page = folder / "simple" / path.name.split("-")[0] / "index.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(
                f'<a href="/{self.folder.name}/{path.name}">{path.name}</a>'
            )
        return folder

    def add(
        self,
        name: str,
        version: str = "1.0",
        code: str = "",
        tag: str = "py3-none-any",
        requires: tuple[str, ...] = (),
        programs: Mapping[str, str] = {},
    ) -> Path:
        """`programs` are more files of it, which can be executed."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}/__init__.py": f"VERSION = {version!r}\n{code}",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
            f"Version: {version}\n"
            + "".join(f"Requires-Dist: {each}\n" for each in requires),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
            **programs,
        }
        record = "".join(
            f"{path},sha256={_digest(text)},{len(text)}\n"
            for path, text in files.items()
        )
        files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
        wheel = self.folder / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                entry = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))
                entry.external_attr = (0o100755 if path in programs else 0o100644) << 16
                archive.writestr(entry, text)
        return wheel

    def lock(self, *wheels: Path) -> str:
        return "".join(
            "{}=={} --hash=sha256:{}\n".format(
                *wheel.name.split("-")[:2],
                hashlib.sha256(wheel.read_bytes()).hexdigest(),
            )
            for wheel in wheels
        )

    @property
    def settings(self) -> dict[str, str]:
        """For uv and pip: this folder, and no index."""
        return {
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(self.folder),
            "UV_OFFLINE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.folder),
            "PIP_CONFIG_FILE": "/dev/null",
        }


def fetch_pinned(name: str, folder: Path, *options: str) -> None:
    """Have the wheel there that the portal pins, as it would get it from the index."""
    pinned = Path("environments", f"{name}.txt").resolve()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "-r", str(pinned)]
    subprocess.run([*command, *options, "-d", str(folder)], check=True)


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
