"""The one file that is shipped runs on older Pythons, with nothing installed."""

import ast
import sys

from computes.runner import RUNNER

SOURCE = RUNNER.read_text()


def test_the_runner_is_written_in_python_3_8() -> None:
    ast.parse(SOURCE, feature_version=(3, 8))


def test_the_runner_imports_the_standard_library_only() -> None:
    imported = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported - {"__future__"} <= sys.stdlib_module_names


def test_no_annotation_of_newer_pythons_is_evaluated() -> None:
    """Since `list[int]` and `int | None` are errors there, if not an annotation."""
    tree = ast.parse(SOURCE)
    first = tree.body[1]
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "__future__"
    builtin = {"list", "dict", "tuple", "set", "type"}
    evaluated = [
        ast.unparse(node)
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in builtin
    ]
    assert evaluated == []
