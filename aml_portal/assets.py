"""Build static/vendor/ from the npm packages that package-lock.json pins.

Run as `python -m aml_portal.assets`; the standard library is enough. npm is called in
a folder of its own under .tools/, so that nothing but the lock file is its input.
"""

import hashlib
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from aml_portal.node import NodeError, find_node

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".tools" / "assets"
VENDOR = ROOT / "static" / "vendor"
NPM_INPUTS = ("package.json", "package-lock.json", ".npmrc")

# Browsers ask for a source map only with their tools open, but the storage that puts
# hashes into file names insists that every file named in a comment is there.
_SOURCE_MAP = re.compile(rb"\n?(//|/\*)# sourceMappingURL=\S+( \*/)?\s*$")
_FONT_FACE = re.compile(r"/\* (?P<name>\S+) \*/\s*@font-face {.*?}", re.DOTALL)
_SVG = re.compile(r"<svg(?P<attributes>.*?)>(?P<body>.*)</svg>", re.DOTALL)
# Not the stroke's width: on a symbol it would win over the style of the icon.
_DRAWING = re.compile(r'((?:viewBox|fill|stroke|stroke-line[a-z]+)="[^"]*")')
_NO_SHAPE = re.compile(r'\s*<path stroke="none" d="M0 0h24v24H0z" fill="none" />')


def main() -> int:
    try:
        build_if_changed(VENDOR)
    except (NodeError, AssetError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


class AssetError(Exception):
    """The assets can't be built; the text is for the person at the terminal."""


def build_if_changed(vendor: Path) -> None:
    stamp = BUILD / "built"
    sources = (*NPM_INPUTS, "aml_portal/assets.toml", "aml_portal/assets.py")
    wanted = _fingerprint(sources)
    if vendor.is_dir() and stamp.exists() and stamp.read_text() == wanted:
        return
    sys.stdout.write("Fetching the front-end packages into static/vendor\n")
    sys.stdout.flush()
    build(vendor)
    stamp.write_text(wanted)


def build(vendor: Path) -> None:
    """Make `vendor` anew; until the last moment the old one stays in place."""
    with (ROOT / "aml_portal" / "assets.toml").open("rb") as file:
        wanted = tomllib.load(file)
    modules = _install()
    fresh = BUILD / "vendor"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    copy_files(modules, fresh, wanted["files"])
    for package in wanted["fonts"]["packages"]:
        copy_font(modules / "@fontsource-variable" / package, fresh / "fonts", wanted)
    sprite = icon_sprite(modules / "@tabler" / "icons" / "icons", wanted["icons"])
    (fresh / "icons.svg").write_text(sprite, encoding="utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)


def copy_files(modules: Path, vendor: Path, files: Mapping[str, str]) -> None:
    for source, target in files.items():
        path = vendor / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_SOURCE_MAP.sub(b"\n", _read(modules / source)))


def copy_font(
    package: Path, fonts: Path, wanted: Mapping[str, dict[str, list[str]]]
) -> None:
    """Copy the upright variable font of the wanted subsets, and its style sheet."""
    names = {f"{package.name}-{s}-wght-normal" for s in wanted["fonts"]["subsets"]}
    fonts.mkdir(parents=True, exist_ok=True)
    faces = _FONT_FACE.finditer(_read(package / "wght.css").decode())
    style = "\n".join(face.group() for face in faces if face["name"] in names)
    sheet = fonts / f"{package.name}.css"
    sheet.write_text(style.replace("./files/", "./") + "\n", encoding="utf-8")
    for name in names:
        (fonts / f"{name}.woff2").write_bytes(
            _read(package / "files" / f"{name}.woff2")
        )


def icon_sprite(icons: Path, wanted: Mapping[str, Iterable[str]]) -> str:
    """One SVG whose symbols are the wanted icons, so that a page loads them once."""
    symbols = [
        _symbol(
            icons / kind / f"{name}.svg",
            name if kind == "outline" else f"{name}-{kind}",
        )
        for kind, names in wanted.items()
        for name in names
    ]
    body = "\n".join(symbols)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{body}\n</svg>\n'


def _symbol(file: Path, name: str) -> str:
    svg = _SVG.search(_read(file).decode())
    if svg is None:
        raise AssetError(f"{file} is no SVG: run make assets again.")
    drawing = _DRAWING.findall(svg["attributes"])
    shapes = " ".join(_NO_SHAPE.sub("", svg["body"]).split())
    return f'<symbol id="{name}" {" ".join(drawing)}>{shapes}</symbol>'


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise AssetError(
            f"There is no {file}: correct aml_portal/assets.toml."
        ) from None


def _install() -> Path:
    """Let npm install what the lock file says, unless it has done so before."""
    stamp = BUILD / "installed"
    wanted = _fingerprint(NPM_INPUTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        BUILD.mkdir(parents=True, exist_ok=True)
        for name in NPM_INPUTS:
            shutil.copyfile(ROOT / name, BUILD / name)
        _npm_ci()
        stamp.write_text(wanted)
    return BUILD / "node_modules"


def _npm_ci() -> None:
    if find_node().run("npm", "ci", "--ignore-scripts", "--silent", cwd=BUILD):
        raise AssetError(
            "npm could not install the front-end packages: read its message with "
            f"(cd {BUILD} && npm ci --ignore-scripts), and try again."
        )


def _fingerprint(names: Iterable[str]) -> str:
    content = b"\0".join((ROOT / name).read_bytes() for name in names)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
