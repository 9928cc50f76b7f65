"""Code in colours: the lines of a file as HTML whose classes static/css/highlight.css
colours.

A lexer runs in a process of its own (runs/lexing.py) for half a second. What it does
not get to, and what has no language that is known, is shown as it is.
"""

import re
import threading
from html import escape
from pathlib import Path, PurePosixPath

import msgspec
from django.utils.safestring import SafeString, mark_safe

from aml_portal.bounded import run_bounded

# How long a lexer may take in all, should the machine be busy; its own time is limited
# by itself (runs/lexing.py), and it means to end far sooner.
_SECONDS = 15.0
# More at a time would take the processors from the runs of this machine.
_AT_ONCE = threading.BoundedSemaphore(2)
_PATIENCE = 1.0
_PROGRAM = Path(__file__).with_name("lexing.py")

# The lexers of Pygments that may be used, and the ends of the names that ask for them.
_BY_SUFFIX = {
    suffix: language
    for language, suffixes in {
        "bash": ".bash .sbatch .sh .slurm .zsh",
        "batch": ".bat .cmd",
        "bibtex": ".bib",
        "c": ".c",
        "cmake": ".cmake",
        "cpp": ".cc .cpp .cxx .h .hh .hpp .hxx",
        "css": ".css",
        "cuda": ".cu .cuh",
        "cython": ".pxd .pyx",
        "diff": ".diff .patch",
        "docker": ".dockerfile",
        "fortran": ".f90 .f95",
        "go": ".go",
        "hcl": ".hcl .tf",
        "html": ".htm .html",
        "ini": ".cfg .conf .ini",
        "java": ".java",
        "javascript": ".cjs .js .mjs",
        "json": ".ipynb .json .jsonl .ndjson",
        "jsx": ".jsx",
        "julia": ".jl",
        "kotlin": ".kt",
        "lua": ".lua",
        "make": ".mk",
        "markdown": ".markdown .md",
        "matlab": ".m",
        "perl": ".pl .pm",
        "powershell": ".ps1",
        "properties": ".properties",
        "protobuf": ".proto",
        "python": ".py .pyi .pyw",
        "r": ".r",
        "rst": ".rst",
        "ruby": ".rb",
        "rust": ".rs",
        "scala": ".scala",
        "scss": ".scss",
        "sql": ".sql",
        "stan": ".stan",
        "swift": ".swift",
        "tex": ".tex",
        "toml": ".toml",
        "tsx": ".tsx",
        "typescript": ".ts",
        "xml": ".svg .xml",
        "yaml": ".runconfig .yaml .yml",
    }.items()
    for suffix in suffixes.split()
}
_BY_NAME = {
    ".bashrc": "bash",
    ".condarc": "yaml",
    ".editorconfig": "ini",
    "cmakelists.txt": "cmake",
    "dockerfile": "docker",
    "gnumakefile": "make",
    "makefile": "make",
    "pipfile": "toml",
    "pipfile.lock": "json",
    "poetry.lock": "toml",
    "uv.lock": "toml",
}
_INTERPRETERS = {
    "bash": "bash",
    "julia": "julia",
    "perl": "perl",
    "python": "python",
    "Rscript": "r",
    "sh": "bash",
}
_LONGEST_INTERPRETER = 200
_FIRST_LINE = re.compile(r"#!\s*\S*?(?:/env\s+(?:-S\s+)?)?([A-Za-z]+)[\d.]*(?:\s|$)")


def lines(name: str, text: str) -> list[SafeString]:
    """The lines of the file `name`, in colours where its language is known.

    They have no line ends, and no element that goes on in the next. For the content of
    an element only, not for an attribute.
    """
    return snippets(language_of(name, text), [text])[0]


def escaped(text: str) -> SafeString:
    """The text as it is, for the content of an element.

    A carriage return itself would be a line break in HTML.
    """
    return mark_safe(escape(text, quote=False).replace("\r", "&#13;"))  # noqa: S308


def unescaped(code: str) -> str:
    """The text that `escaped` was given; html.unescape takes seconds for a long one."""
    code = code.replace("&lt;", "<").replace("&gt;", ">").replace("&#13;", "\r")
    return code.replace("&amp;", "&")


def snippets(language: str, texts: list[str]) -> list[list[SafeString]]:
    """The lines of each text; `language` is one that `language_of` answers."""
    texts = [_sendable(text) for text in texts]
    coloured = _lexed(language, texts) if language and any(texts) else None
    return [
        [mark_safe(line) for line in done]  # noqa: S308
        + [escaped(line) for line in text.split("\n")[len(done) : -1]]
        for text, done in zip(texts, coloured or [[]] * len(texts), strict=True)
    ]


def language_of(name: str, text: str = "") -> str:
    """The lexer for a file of this name that begins with `text`; "" for none."""
    path = PurePosixPath(name.lower())
    language = _BY_NAME.get(path.name) or _BY_SUFFIX.get(path.suffix)
    if language or path.suffix:
        return language or ""
    if path.name.startswith("dockerfile"):
        return "docker"
    script = _FIRST_LINE.match(text[:_LONGEST_INTERPRETER])
    return _INTERPRETERS.get(script[1], "") if script else ""


def languages() -> set[str]:
    return {*_BY_SUFFIX.values(), *_BY_NAME.values(), *_INTERPRETERS.values()}


def _sendable(text: str) -> str:
    """The text with every line ended in one way.

    Half of a surrogate pair can be sent neither to a lexer nor to a browser.
    """
    text = text.encode(errors="replace").decode().replace("\r\n", "\n")
    return text + "\n" if text and not text.endswith("\n") else text


def _lexed(language: str, texts: list[str]) -> list[list[str]] | None:
    """None if it takes too long, or if others are at it already."""
    given = msgspec.json.encode({"lexer": language, "texts": texts})
    if not _AT_ONCE.acquire(timeout=_PATIENCE):
        return None
    try:
        answer = run_bounded(_PROGRAM, given, seconds=_SECONDS)
    finally:
        _AT_ONCE.release()
    if answer is None:
        return None
    return msgspec.json.decode(answer, type=list[list[str]])
