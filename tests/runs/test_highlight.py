"""Colouring code whose authors may mean harm."""

import re
import sysconfig
import time
from html import unescape
from pathlib import Path

import pytest
from pygments.lexers import find_lexer_class_by_name

from runs.highlight import (
    escaped,
    language_of,
    languages,
    lines,
    snippets,
    unescaped,
)
from runs.lexing import LONGEST_LINE

_ELEMENT = re.compile(r"</?span[^>]*>")
_SOURCE = Path(sysconfig.get_path("purelib")) / "sklearn"


def text_of(line: str) -> str:
    return unescape(_ELEMENT.sub("", line))


def test_a_line_is_complete_and_has_classes_alone() -> None:
    source = 'def f(x):\n    """Two\n    lines."""\n    return\n# <b>\n'
    assert lines("a.py", source) == [
        '<span class="hl-keyword">def </span><span class="hl-name">f</span>(x):',
        '    <span class="hl-string">"""Two</span>',
        '<span class="hl-string">    lines."""</span>',
        '    <span class="hl-keyword">return</span>',
        '<span class="hl-comment"># &lt;b&gt;</span>',
    ]


@pytest.mark.parametrize("name", ["a.py", "a.txt"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n", [""]),
        ("\n\nx", ["", "", "x"]),
        ("x\r\ny\n", ["x", "y"]),
        ("x\ry\n", ["x\ry"]),
        ("x\u2028y\x0bz", ["x\u2028y\x0bz"]),
        ("</pre><script>", ["</pre><script>"]),
        ("x\udcff", ["x?"]),
    ],
)
def test_lines_end_where_the_text_has_line_ends(
    name: str, text: str, expected: list[str]
) -> None:
    found = lines(name, text)
    assert [text_of(line) for line in found] == expected
    assert "<script" not in "".join(found)
    assert "\r" not in "".join(found)


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("src/Train.PY", "", "python"),
        ("Dockerfile", "", "docker"),
        ("dockerfile.gpu", "", ""),
        ("gpu.dockerfile", "", "docker"),
        ("Makefile", "", "make"),
        ("run_configs/a.runconfig", "", "yaml"),
        ("train", "#!/usr/bin/env python3\n", "python"),
        ("train", "#!/bin/sh -e\n", "bash"),
        ("train", "#!/usr/bin/env -S Rscript --vanilla\n", "r"),
        ("train", "#!" + "/env " * 50_000, ""),
        ("train", "#!" + "a" * 1_000_000 + "!", ""),
        ("notes.txt", "#!/bin/sh\n", ""),
        ("a.exe", "", ""),
    ],
)
def test_a_language_is_told_by_the_name_or_the_first_line(
    name: str, text: str, language: str
) -> None:
    assert language_of(name, text) == language


def test_pygments_has_every_language() -> None:
    for language in languages():
        assert find_lexer_class_by_name(language)


def test_every_file_of_a_real_package_keeps_its_text() -> None:
    kinds: dict[str, list[Path]] = {}
    for path in sorted(_SOURCE.rglob("*.*")):
        if language_of(path.name):
            kinds.setdefault(path.suffix, []).append(path)
    assert {".py", ".pyx", ".pxd", ".css", ".js", ".rst", ".h"} <= kinds.keys()
    for paths in kinds.values():
        for path in (paths[0], max(paths, key=lambda each: each.stat().st_size)):
            text = path.read_text(encoding="utf-8")
            found = lines(path.name, text)
            assert "\n".join(map(text_of, found)) == text.removesuffix("\n")
            assert '<span class="hl-' in "".join(found) or len(text) < 100


@pytest.mark.parametrize("text", ["<&lt;&amp;lt;>", "a\r&#13;\r", "&\"'&#x3c;&notit"])
def test_what_was_escaped_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


def test_many_texts_are_coloured_at_once() -> None:
    found = snippets("python", ["import a", "", "x = 1\ny = 2\n"])
    assert [len(each) for each in found] == [1, 0, 2]
    assert found[0] == ['<span class="hl-keyword">import </span>a']


def test_what_would_take_long_has_no_colours_in_the_end() -> None:
    text = "pass  # ten\n" * 300_000
    found = lines("a.py", text)
    assert "\n".join(map(text_of, found)) + "\n" == text
    assert "hl-keyword" in found[0]
    assert found[-1] == "pass  # ten"


def test_a_line_that_nobody_wrote_by_hand_has_no_colours() -> None:
    long = "1+" * LONGEST_LINE + "1"
    assert lines("a.py", f"x = 1\n{long}\ny = 2\n")[1] == long
    assert lines("a.js", long * 100) == [long * 100]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tex", "\\begin{" * 70_000),
        ("a.pl", "s" + "{" * 500_000),
        ("a.html", "<" * 500_000),
        ("a.md", "[" * 250_000 + "\n" + "*" * 250_000),
        ("a.rb", "<<" + "a" * 500_000),
        ("a.lua", "[" + "=" * 500_000),
        ("a.kt", "fun " + "a." * 250_000),
    ],
)
def test_no_file_holds_a_page_up(name: str, text: str) -> None:
    begun = time.monotonic()
    found = lines(name, text)
    assert time.monotonic() - begun < 6
    assert "\n".join(map(text_of, found)) == text


def test_a_lexer_that_would_never_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself, whatever the lexers of this version of Pygments are good at."""
    monkeypatch.setattr("runs.highlight._SECONDS", 0.001)
    assert lines("a.py", "import a\n") == ["import a"]
