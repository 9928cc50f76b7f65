"""The front-end packages: pinned, complete, and all that pages ask for."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

from aml_portal.assets import AssetError, copy_files, copy_font, icon_sprite
from aml_portal.node import MINIMUM, find_node
from computes.kinds import kinds
from runs.status import RunStatus
from runs.templatetags.runs import status_look

VENDOR = settings.BASE_DIR / "static" / "vendor"
_ICON = re.compile(r"(?:{% icon |icon_name=|{{ icons }}#)\"?([a-z0-9-]+)\"")
_URL = re.compile(r"url\(['\"]?(?!data:)([^)'\"]+)")


def test_every_package_is_pinned_by_its_content_and_by_no_place() -> None:
    lock = json.loads((settings.BASE_DIR / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


def test_everything_that_was_asked_for_is_there() -> None:
    wanted = tomllib.loads((settings.BASE_DIR / "aml_portal/assets.toml").read_text())
    missing = [to for to in wanted["files"].values() if not (VENDOR / to).is_file()]
    assert not missing
    for package in wanted["fonts"]["packages"]:
        style = (VENDOR / "fonts" / f"{package}.css").read_text()
        assert style.count("@font-face") == len(wanted["fonts"]["subsets"])


def test_style_sheets_name_only_files_that_are_there() -> None:
    for sheet in VENDOR.rglob("*.css"):
        for address in _URL.findall(sheet.read_text()):
            if not address.startswith("#"):
                assert (sheet.parent / address).is_file(), f"{sheet.name}: {address}"


def test_nothing_names_a_source_map() -> None:
    for file in [*VENDOR.rglob("*.js"), *VENDOR.rglob("*.css")]:
        assert "sourceMappingURL" not in file.read_text(), file


def test_the_sprite_has_the_icons_that_are_shown_and_no_other() -> None:
    ids = re.findall(r'<symbol id="([^"]+)"', (VENDOR / "icons.svg").read_text())
    templates = settings.BASE_DIR.joinpath("templates").rglob("*.html")
    shown = {name for file in templates for name in _ICON.findall(file.read_text())}
    shown |= {status_look(status).icon for status in RunStatus}
    shown |= {kind.icon for kind in kinds().values()}
    assert sorted(ids) == sorted(shown), "Correct assets.toml and run make assets."


def test_no_page_asks_another_site_for_anything() -> None:
    sources = [*settings.BASE_DIR.joinpath("templates").rglob("*.html")]
    sources += settings.BASE_DIR.joinpath("static", "css").rglob("*.css")
    asking = re.compile(
        r"(src=\"|url\(['\"]?|@import\s+['\"]|<link[^>]*href=\")https?://"
    )
    assert not [file for file in sources if asking.search(file.read_text())]


def test_a_symbol_keeps_the_drawing_and_leaves_its_width_to_the_style(
    tmp_path: Path,
) -> None:
    (tmp_path / "outline").mkdir()
    (tmp_path / "outline" / "dot.svg").write_text(
        '<svg width="24" viewBox="0 0 24 24" fill="none" stroke="currentColor"\n'
        ' stroke-width="2" stroke-linecap="round" class="icon">\n'
        '  <path stroke="none" d="M0 0h24v24H0z" fill="none" />\n'
        '  <path d="M1 1l2 2" />\n</svg>'
    )
    assert icon_sprite(tmp_path, {"outline": ["dot"]}) == (
        '<svg xmlns="http://www.w3.org/2000/svg">\n'
        '<symbol id="dot" viewBox="0 0 24 24" fill="none" stroke="currentColor"'
        ' stroke-linecap="round"><path d="M1 1l2 2" /></symbol>\n</svg>\n'
    )


def test_a_name_that_is_in_no_package_is_said(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no/such\.js.*assets\.toml"):
        copy_files(tmp_path, tmp_path, {"no/such.js": "such.js"})


def test_only_the_wanted_subsets_of_a_font_are_kept(tmp_path: Path) -> None:
    package = tmp_path / "serif"
    (package / "files").mkdir(parents=True)
    faces = ["latin", "greek"]
    (package / "wght.css").write_text(
        "\n\n".join(
            f"/* serif-{face}-wght-normal */\n@font-face {{\n"
            f"  src: url(./files/serif-{face}-wght-normal.woff2);\n}}"
            for face in faces
        )
    )
    for face in faces:
        (package / "files" / f"serif-{face}-wght-normal.woff2").write_text(face)
    copy_font(package, tmp_path / "fonts", {"fonts": {"subsets": ["latin"]}})
    kept = sorted(file.name for file in (tmp_path / "fonts").iterdir())
    assert kept == ["serif-latin-wght-normal.woff2", "serif.css"]
    style = (tmp_path / "fonts" / "serif.css").read_text()
    assert "greek" not in style
    assert "url(./serif-latin-wght-normal.woff2)" in style


def test_an_old_node_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, words in (("node", f"v{MINIMUM - 1}.0.0"), ("npm", "1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {words}\n")
        program.chmod(0o755)
    own = tmp_path / "tools"
    (own / "bin").mkdir(parents=True)
    (own / "bin" / "npm").touch()
    (own / "bin" / "node").write_text("#!/bin/sh\necho v99.0.0\n")
    (own / "bin" / "node").chmod(0o755)
    monkeypatch.setattr("aml_portal.node.TOOLS", own)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_node().folder == own / "bin"
    (tmp_path / "node").write_text(f"#!/bin/sh\necho v{MINIMUM}.0.0\n")
    assert find_node().folder == tmp_path
