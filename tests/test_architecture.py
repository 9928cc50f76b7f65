"""The rules that keep the parts apart, read from the code itself."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("aml_portal", "computes", "environments", "runs")
RUNNER = ROOT / "computes" / "runner" / "runner.py"


def tracked(pattern: str) -> list[Path]:
    """Files of the project: not what others left lying in the working tree."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", pattern]
    names = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


MODULES = [
    path
    for part in PARTS
    for path in sorted((ROOT / part).rglob("*.py"))
    if "migrations" not in path.parts
]
HOSTS = ("computes.hosts.local", "computes.hosts.ssh")
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """The full names of the modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} has a relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_in(module: str, *packages: str) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in packages)


def offenders(folder: str, *forbidden: str) -> list[str]:
    return [
        f"{name_of(path)} imports {module}"
        for path in MODULES
        if is_in(name_of(path).removesuffix(".py").replace("/", "."), folder)
        for module in sorted(imports(path))
        if is_in(module, *forbidden)
    ]


@pytest.mark.parametrize(
    ("part", "forbidden"),
    [
        ("computes", ["runs", "environments"]),
        ("environments", ["runs"]),
        # Free of Django, to be used and tested anywhere.
        ("runs.snapshots", ["django", "runs.models", "computes", "environments"]),
        ("runs.logs", ["django", "runs.models", "aml_portal", "computes"]),
        ("aml_portal.supervisor", ["django", "aml_portal", "runs", "computes"]),
        # What pages show is known to nobody below them.
        *[
            (f"runs.{module}", ["django.http", "django.shortcuts", "django.forms"])
            for module in (
                "models",
                "services",
                "dispatch",
                "execution",
                "followed",
                "follower",
                "monitor",
                "progress",
                "reconcile",
            )
        ],
        # A host is chosen in one place; nobody else knows which kinds there are.
        ("runs", [*HOSTS, "computes.runner", "subprocess"]),
        ("environments", [*HOSTS, "computes.runner"]),
    ],
)
def test_a_part_does_not_know_what_is_above_it(part: str, forbidden: list[str]) -> None:
    assert offenders(part, *forbidden) == []


def test_nothing_below_the_views_imports_them() -> None:
    views = {
        name_of(path).removesuffix(".py").replace("/", ".")
        for path in MODULES
        if path.stem in ("views", "urls") or path.stem.endswith("_views")
    }
    allowed = views | {"aml_portal.settings"}
    found = [
        f"{name_of(path)} imports {module}"
        for path in MODULES
        if name_of(path).removesuffix(".py").replace("/", ".") not in allowed
        for module in imports(path) & views
    ]
    assert found == []


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    names = {
        name_of(path)
        .removesuffix(".py")
        .removesuffix("/__init__")
        .replace("/", "."): path
        for path in MODULES
    }
    graph = {name: imports(path) & names.keys() for name, path in names.items()}
    for name in graph:
        graph[name].discard(name)
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_only_move_writes_the_state_of_a_run() -> None:
    found = [
        f"{name_of(path)}:{call.lineno}"
        for path in MODULES
        if path.parts[-2] == "runs"
        for call in calls(path)
        if function_name(call) in ("update", "bulk_update", "update_or_create")
        and any(keyword.arg == "status" for keyword in call.keywords)
    ]
    assert len(found) == 1
    assert found[0].startswith("runs/models.py")


def test_only_move_announces_a_state() -> None:
    found = [
        name_of(path)
        for path in MODULES
        for call in calls(path)
        if function_name(call) == "announce_status"
    ]
    assert found == ["runs/models.py"]


def test_no_command_goes_through_a_shell() -> None:
    shells = {"system", "popen", "getoutput", "getstatusoutput"}
    found = [
        f"{name_of(path)}:{call.lineno}"
        for path in MODULES
        for call in calls(path)
        if any(keyword.arg == "shell" for keyword in call.keywords)
        or function_name(call) in shells
    ]
    assert found == []


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def function_name(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def test_the_environment_is_read_in_one_place() -> None:
    """Settings can be documented in one table, since one module knows their names."""
    readers = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("os.getenv", "os.environ.get")
        and "AML_PORTAL" in ast.unparse(node)
    }
    assert readers <= {"aml_portal/env.py"}


def test_modules_are_of_a_size_to_be_read() -> None:
    sizes = {
        name_of(path): path.read_text(encoding="utf-8").count("\n")
        for path in tracked("*.py")
        if path != RUNNER
    }
    assert {name: size for name, size in sizes.items() if size > 400} == {}


_INLINE = {
    "script": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*\btype=.application/json)"),
    "style": re.compile(r"<style\b|\sstyle\s*="),
    "handler": re.compile(r"\son[a-z]+\s*=", re.IGNORECASE),
    "address": re.compile(r"(?:href|src|action)\s*=\s*[\"']javascript:", re.IGNORECASE),
    "foreign": re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=[\"'](?:https?:)?//"),
}


_COMMENT = re.compile(r"{%\s*comment.*?endcomment\s*%}|{#.*?#}", re.DOTALL)


@pytest.mark.parametrize("what", _INLINE)
def test_templates_hold_nothing_that_the_policy_forbids(what: str) -> None:
    assert [
        name_of(template)
        for template in TEMPLATES
        if _INLINE[what].search(_COMMENT.sub("", template.read_text()))
    ] == []


def test_templates_name_only_static_files_that_there_are() -> None:
    named = {
        (name_of(template), name)
        for template in TEMPLATES
        for name in re.findall(
            r"{%\s*static\s+[\"']([^\"']+)[\"']", template.read_text()
        )
    }
    assert named
    assert [found for found in named if not finders.find(found[1])] == []
