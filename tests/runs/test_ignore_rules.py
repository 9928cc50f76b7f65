"""What is left out of a source, held against git itself; the page's rules as well."""

import json
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aml_portal.node import find_node
from runs.snapshots import SnapshotError
from runs.snapshots.ignore import DEFAULTS, LARGEST_FILE, IgnoreRules

MODULE = Path(__file__).parents[2] / "static/js/upload/ignore.js"
NAMES = [
    *("a", "b", "ab", "abc", "aab", "A", "a b", "a ", "-a", ".a", "#a", "!a", "a*"),
    *("a]", "[a]", "a\\", "ü", "aü", "日", "a-b", "foo", "foobar", "bar", "1", "a\nb"),
    *("x.pyc", "venv", "__pycache__", "node_modules"),
]
PIECES = [
    *("a", "b", "ab", "foo", "bar", "*", "*", "**", "**/", "/**", "/", "?", "/**/"),
    *("***", "[ab]", "[!a]", "[^b]", "[a-c]", "[]a]", "[!]a]", "[a-]", "[[:alpha:]]"),
    *("[b/]", "[[:digit:][:space:]]", "[[:no:]]", "[[:a]", "[\\]a]", "[\\a-c]", "["),
    *("[a", "[c-a]", "[--b]", "\\*", "\\a", "\\/", "\\\\", "\\ ", " ", "  ", "\\!"),
    *("\\#", "#", "ü", "日", ".a", "!", "\t", "\r", "\x00", ".*", "*.pyc", "venv", "-"),
    *("x.pyc", "node_modules"),
]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A tree: its ignore files, and its paths, where folders end in a slash."""

    ignore_files: dict[str, bytes]
    paths: list[str]


def random_case(chance: random.Random) -> Case:
    folders = [""]
    paths = []
    for _ in range(chance.randrange(5, 40)):
        path = chance.choice(folders) + chance.choice(NAMES)
        if path in paths or f"{path}/" in paths:
            continue
        is_folder = chance.random() < 0.5 and path.count("/") < 4
        paths.append(f"{path}/" if is_folder else path)
        if is_folder:
            folders.append(f"{path}/")
    places = ["", *chance.sample(folders, min(2, len(folders)))]
    ignore_files = {f"{place}.gitignore": random_rules(chance) for place in places}
    return Case(ignore_files=ignore_files, paths=paths)


def random_rules(chance: random.Random) -> bytes:
    lines = [random_pattern(chance) for _ in range(chance.randrange(1, 6))]
    start = "\ufeff" if chance.random() < 0.1 else ""
    return (start + chance.choice(["\n", "\r\n"]).join(lines)).encode()


def random_pattern(chance: random.Random) -> str:
    if chance.random() < 0.3:
        parts = chance.choices([*NAMES, "*", "**"], k=chance.randrange(1, 4))
        pattern = "/".join(parts)
    else:
        pattern = "".join(chance.choices(PIECES, k=chance.randrange(1, 6)))
    before = chance.choice(["", "", "", "!", "!", "/"])
    return before + pattern + chance.choice(["", "", "", "/", " ", "/ "])


def edge(rules: str, *paths: str) -> Case:
    return Case(ignore_files={".gitignore": rules.encode()}, paths=list(paths))


# What is easily got wrong; git says what is right.
EDGES = [
    edge("foo**/bar", "foobar", "foox/", "foox/y/", "foox/y/bar", "foo/", "foo/bar"),
    edge("foo/ba**", "foo/", "foo/ba", "foo/bar/", "foo/bar/x"),
    edge("a/**/b", "a/", "a/b", "a/x/", "a/x/b", "a/x/y/", "a/x/y/b", "ab"),
    edge("a/**", "a/", "a/b", "a/c/", "a/c/d"),
    edge("a/*\n!a/b", "a/", "a/b", "a/c"),
    edge("a/\n!a/b", "a/", "a/b"),
    edge("/a", "a", "b/", "b/a"),
    edge("a/b", "a/", "a/b", "c/", "c/a/", "c/a/b"),
    edge("!venv", "venv/", "venv/a"),
    edge("!__pycache__/\n__pycache__/*.pyc", "__pycache__/", "__pycache__/x.pyc"),
    edge("*\n!*/\n!*.py", "a.py", "a/", "a/b.py", "a/c.txt"),
    edge("a?\n[[:alpha:]]\n", "aü", "ü", "ab", "b"),
    edge("a\\ \nb \\", "a ", "a", "b \\", "b "),
    edge("\\#a\n#a\n\\!a\n!#a", "#a", "!a"),
    edge("a\nA", "a", "A"),
    edge("**", "a", "b/", "b/a"),
    edge("a**b", "ab", "axb", "a/", "a/b"),
    edge("/", "a"),
    edge("*a*a*a*a*b", "a" * 60, "a" * 60 + "b"),
]


def git_says(case: Case, folder: Path) -> list[str]:
    """For each path what leaves it out, "file:line:", a default pattern, or ""."""
    for path in case.paths:
        whole = folder / path
        folder_of = whole if path.endswith("/") else whole.parent
        folder_of.mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            whole.touch()
    for path, content in case.ignore_files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    defaults = folder.with_name("defaults")
    defaults.write_text("\n".join(DEFAULTS))
    # With a slash at its end, git would look for the rules within the folder.
    asked = "".join(path.rstrip("/") + "\0" for path in case.paths)
    git = ["git", f"--git-dir={folder.with_name('git')}", f"--work-tree={folder}"]
    git += ["-c", f"core.excludesFile={defaults}", "-c", "core.ignoreCase=false"]
    options = ["--no-index", "--verbose", "--non-matching", "-z", "--stdin"]
    answer = subprocess.run(
        [*git, "check-ignore", *options],
        cwd=folder,
        input=asked.encode(),
        capture_output=True,
        check=False,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return [told_by_git(each, str(defaults)) for each in in_fours(answer.stdout)]


def in_fours(output: bytes) -> Iterator[list[str]]:
    words = output.decode().split("\0")[:-1]
    for start in range(0, len(words), 4):
        yield words[start : start + 4]


def told_by_git(words: list[str], defaults: str) -> str:
    source, line, pattern, _ = words
    if not source or pattern.startswith("!"):
        return ""
    # Of a pattern, git shows only what counts.
    return pattern if source == defaults else f"{source}:{line}:"


def python_says(case: Case) -> list[str]:
    rules = IgnoreRules()
    for path, content in sorted(case.ignore_files.items()):
        folder, _, name = path.rpartition("/")
        rules.add(folder, name, content)
    said = []
    for path in case.paths:
        rule = rules.left_out_by(path.rstrip("/"), is_folder=path.endswith("/"))
        said.append(told(vars(rule)) if rule else "")
    return said


def told(rule: dict[str, Any]) -> str:
    text = str(rule["text"])
    return f"{rule['file']}:{rule['line']}:{text}" if rule["file"] else text


def agree(said: str, right: str) -> bool:
    return said.startswith(right) if right else not said


def page_says(cases: list[Case]) -> list[list[str]]:
    program = f"""
      import {{ IgnoreRules }} from {json.dumps(MODULE.as_uri())};
      import {{ readFileSync }} from "node:fs";
      const {{ defaults, cases }} = JSON.parse(readFileSync(0, "utf8"));
      const answers = cases.map(({{ files, paths }}) => {{
        const rules = new IgnoreRules(defaults);
        for (const [path, content] of files) {{
          const folder = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
          const name = path.slice(path.lastIndexOf("/") + 1);
          rules.add(folder, name, Buffer.from(content, "hex"));
        }}
        return paths.map((path) =>
          rules.leftOutBy(path.replace(/\\/$/, ""), path.endsWith("/")));
      }});
      process.stdout.write(JSON.stringify(answers));
    """
    files = [sorted(case.ignore_files.items()) for case in cases]
    asked = {
        "defaults": DEFAULTS,
        "cases": [
            {"files": [(path, text.hex()) for path, text in each], "paths": case.paths}
            for each, case in zip(files, cases, strict=True)
        ],
    }
    answer = subprocess.run(
        [find_node().folder / "node", "--input-type=module", "-e", program],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        text=True,
    )
    return [
        [told(rule) if rule else "" for rule in said]
        for said in json.loads(answer.stdout)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_rules_are_those_of_git(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    cases = [random_case(chance) for _ in range(100)]
    if seed == 0:
        cases += EDGES
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "git"], check=True)
    for number, (case, page) in enumerate(zip(cases, page_says(cases), strict=True)):
        folder = tmp_path / str(number) / "tree"
        folder.mkdir(parents=True)
        folder.with_name("git").symlink_to(tmp_path / "git")
        said = python_says(case)
        shown = zip(case.paths, said, git_says(case, folder), strict=True)
        wrong = [each for each in shown if not agree(*each[1:])]
        assert not wrong, case
        assert page == said, case
    assert any(any(python_says(case)) for case in cases)


def test_an_amlignore_wins_over_every_gitignore() -> None:
    rules = IgnoreRules()
    assert rules.file_in("", {".amlignore", ".gitignore", "a"}) == ".amlignore"
    assert rules.file_in("b", {".gitignore"}) == ""
    assert rules.file_in("c", {".amlignore", ".gitignore"}) == ".amlignore"


def test_a_folder_may_have_its_own_amlignore() -> None:
    rules = IgnoreRules()
    assert rules.file_in("", {".gitignore"}) == ".gitignore"
    assert rules.file_in("b", {".amlignore", ".gitignore"}) == ".amlignore"
    assert rules.file_in("c", {".gitignore"}) == ".gitignore"
    assert rules.file_in("d", {"a"}) == ""


def test_a_huge_file_of_rules_is_refused() -> None:
    with pytest.raises(SnapshotError, match=r"“a/.gitignore” is larger than 256 KiB"):
        IgnoreRules().add("a", ".gitignore", bytes(LARGEST_FILE + 1))


def test_no_rule_takes_long() -> None:
    """Each would take years if all ways to match were tried."""
    rules = IgnoreRules()
    many = "a*" * 40 + "b\n" + "/" + "**/a/" * 40 + "b\n" + "/x/" + "*a" * 60 + "b\n"
    rules.add("", ".gitignore", many.encode())
    assert rules.left_out_by("a" * 250, is_folder=False) is None
    assert rules.left_out_by("x/" + "a" * 250, is_folder=False) is None
    assert rules.left_out_by("a/" * 500 + "a", is_folder=False) is None
