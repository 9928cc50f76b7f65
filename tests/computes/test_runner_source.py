"""What is shipped to targets runs on older Pythons, with nothing installed."""

import ast
import sys
from pathlib import Path

import pytest

from computes.runner import BOOT, SHIPPED

FILES = pytest.mark.parametrize("path", [*SHIPPED, BOOT], ids=lambda path: path.name)
# Each other; the folder that they are in is the first in Python's path.
OWN = {path.stem for path in SHIPPED}


def source(path: Path) -> ast.Module:
    # Given to any Python 3, the program that brings the others tells of its age.
    version = (3, 6) if path == BOOT else (3, 8)
    return ast.parse(path.read_text(encoding="utf-8"), feature_version=version)


@FILES
def test_it_imports_the_standard_library_and_its_own_only(path: Path) -> None:
    imported = set()
    for node in ast.walk(source(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    # It is run by a Python that is there for that alone.
    others = {"rattler"} if path.name == "conda.py" else set()
    assert imported - {"__future__"} <= sys.stdlib_module_names | OWN | others


@FILES
def test_no_annotation_of_newer_pythons_is_evaluated(path: Path) -> None:
    """Since `list[int]` and `int | None` are errors there, if not an annotation."""
    tree = source(path)
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        for name in ("annotation", "returns")
        if isinstance(each := getattr(node, name, None), ast.expr)
        for inner in ast.walk(each)
    }
    builtin = {"list", "dict", "tuple", "set", "type"}
    generic = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in builtin
    ]
    has_future = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for node in tree.body
    )
    assert [ast.unparse(g) for g in generic if id(g) not in annotations] == []
    assert has_future or not generic
