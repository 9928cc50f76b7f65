"""Ignore rules: what of a source folder stays at home, by the rules of git.

Where there is an `.amlignore`, no `.gitignore` is read, as in Azure ML; files in
folders count too, as in git. `static/js/upload/ignore.js` says the same.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from runs.snapshots.errors import SnapshotError
from runs.snapshots.names import show
from runs.snapshots.wildmatch import translate

AMLIGNORE, GITIGNORE = ".amlignore", ".gitignore"
# Never part of what a script needs, and often larger than all of it. The rules of a
# source come after these, and may bring them back.
DEFAULTS = (
    *(".git", ".venv", "venv", "__pycache__", ".ipynb_checkpoints", "node_modules"),
    # What macOS and its archives add.
    *("__MACOSX", ".DS_Store", "._*"),
)
LARGEST_FILE = 256 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A line of an ignore file; `file` is "" and `line` 0 for what always holds."""

    text: str
    file: str = ""
    line: int = 0
    is_negated: bool = False
    folders_only: bool = False
    by_name: bool = False
    # Of a name, or of a path from the folder of the file; None matches nothing.
    expression: bytes | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else "by default"
        return f"{place}: {self.text}"


class IgnoreRules:
    """Says for each path of a source, folders first, whether it is left out."""

    def __init__(self) -> None:
        self._only_amlignore = False
        self._lists: dict[str, _RuleList] = {}
        self._defaults = _RuleList([_rule(name.encode(), "", 0) for name in DEFAULTS])
        # Folders that were asked about, and what leaves them out.
        self._folders: dict[str, Rule | None] = {"": None}

    def file_in(self, folder: str, names: Collection[str]) -> str:
        """Which of the `names` in `folder` holds its rules; "" if none does.

        To be asked about the top, which is "", before any other.
        """
        if AMLIGNORE in names:
            self._only_amlignore = self._only_amlignore or not folder
            return AMLIGNORE
        if GITIGNORE in names and not self._only_amlignore:
            return GITIGNORE
        return ""

    def add(self, folder: str, name: str, content: bytes) -> None:
        """Add the rules of the file `name` in `folder`. Raises SnapshotError."""
        path = f"{folder}/{name}" if folder else name
        if len(content) > LARGEST_FILE:
            raise SnapshotError(
                f"“{show(path)}” is larger than {LARGEST_FILE // 1024} KiB.",
                "Write fewer rules, for folders instead of files.",
            )
        self._lists[folder] = _RuleList(read_rules(content, path))

    def left_out_by(self, path: str, *, is_folder: bool) -> Rule | None:
        """The rule that leaves out `path`, or a folder that it is in."""
        if is_folder and path in self._folders:
            return self._folders[path]
        folder = path.rpartition("/")[0]
        rule = self.left_out_by(folder, is_folder=True)
        if rule is None:
            rule = self._last_match(path, folder, is_folder=is_folder)
            rule = None if rule and rule.is_negated else rule
        if is_folder:
            self._folders[path] = rule
        return rule

    def _last_match(self, path: str, folder: str, *, is_folder: bool) -> Rule | None:
        """The lowest file with a rule for the path decides."""
        whole = path.encode(errors="surrogateescape")
        while True:
            if rules := self._lists.get(folder):
                below = path[len(folder) + 1 :] if folder else path
                name = below.encode(errors="surrogateescape")
                if rule := rules.last_match(name, is_folder=is_folder):
                    return rule
            if not folder:
                return self._defaults.last_match(whole, is_folder=is_folder)
            folder = folder.rpartition("/")[0]


class _RuleList:
    """The rules of one file. Most paths match none, which one expression tells."""

    def __init__(self, rules: list[Rule]) -> None:
        useful = [rule for rule in rules if rule.expression is not None]
        self._rules = [(rule, _compiled(rule.expression)) for rule in reversed(useful)]
        self._any_name = _compiled(*(r.expression for r in useful if r.by_name))
        self._any_path = _compiled(*(r.expression for r in useful if not r.by_name))

    def last_match(self, path: bytes, *, is_folder: bool) -> Rule | None:
        name = path.rpartition(b"/")[2]
        if not (self._any_name.match(name) or self._any_path.match(path)):
            return None
        for rule, expression in self._rules:
            if (is_folder or not rule.folders_only) and expression.match(
                name if rule.by_name else path
            ):
                return rule
        return None


def read_rules(content: bytes, path: str) -> list[Rule]:
    """The rules in the ignore file `path`, in their order."""
    lines = content.removeprefix(_BOM).split(b"\n")
    return [
        _rule(_pattern(line), path, number)
        for number, line in enumerate(lines, start=1)
        if line and not line.startswith(b"#")
    ]


def _pattern(line: bytes) -> bytes:
    """What of a line is the pattern, as C reads it, where a zero is an end."""
    line = line.removesuffix(b"\r").partition(b"\0")[0]
    trimmed = line.rstrip(b" ")
    # A backslash keeps the space behind it, unless another keeps the backslash.
    keeps_one = (len(trimmed) - len(trimmed.rstrip(b"\\"))) % 2 == 1
    return line[: len(trimmed) + keeps_one]


def _rule(line: bytes, path: str, number: int) -> Rule:
    pattern = line.removeprefix(b"!")
    stem = pattern.removesuffix(b"/")
    by_name = b"/" not in stem
    return Rule(
        text=line.decode(errors="replace"),
        file=path,
        line=number,
        is_negated=pattern != line,
        folders_only=stem != pattern,
        by_name=by_name,
        expression=translate(stem.removeprefix(b"/")),
    )


def _compiled(*expressions: bytes | None) -> re.Pattern[bytes]:
    """Matches whole names that one of the expressions does."""
    either = b"|".join(each for each in expressions if each is not None)
    return re.compile(rb"(?:%b)\Z" % (either or b"(?!)"), re.DOTALL)
