"""What the documents say exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_links_and_pictures_are_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.name)
def test_files_and_folders_that_are_named_are_there(document: Path) -> None:
    names = re.findall(r"`((?:[\w.]+/)+[\w.]*)`", document.read_text())
    tops = {path.name for path in ROOT.iterdir()} - {"var"}
    named = [name for name in names if name.split("/")[0] in tops]
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_commands_of_the_readme_are_targets_of_make() -> None:
    commands = re.findall(
        r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert commands == ["run", "test"]
    for target in commands:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True)
