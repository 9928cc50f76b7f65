"""Draws diffs: their lines in colours, with what is new in them marked."""

from collections import defaultdict
from dataclasses import dataclass

from django.utils.safestring import SafeString

from runs import highlight
from runs.diff_html import line_html, with_note
from runs.diff_lines import Gap, Line, Part, equal_lines, parts_of, replaced
from runs.snapshots.diff import FileDiff, line_count, line_ends
from runs.snapshots.words import Span, changed_words


@dataclass(kw_only=True)
class Drawn:
    """The parts of a diff as far as they are shown, and how many lines are not."""

    parts: list[Part]
    beyond: int = 0


class _Text:
    """One side of a diff, up to the last of its lines that is shown."""

    def __init__(self, content: bytes, last: int, other: bytes) -> None:
        lines = content.split(b"\n", last)[:last]
        self._raw = [line.decode(errors="replace") for line in lines]
        self._tells_ends = {line_ends(content), line_ends(other)} != {"CRLF"}
        # The number of a line that has no end, which is worth telling of one side only.
        ends = content.endswith(b"\n"), other.endswith(b"\n")
        self._unended = line_count(content) if ends == (False, True) else 0
        self.coloured: list[SafeString] = []
        self.spans: dict[int, list[Span]] = {}

    @property
    def whole(self) -> str:
        return "".join(f"{line}\n" for line in self._raw)

    def line(self, number: int) -> str:
        return self._raw[number - 1].removesuffix("\r")

    def html(self, number: int, *, is_changed: bool) -> SafeString:
        shown = line_html(self.coloured[number - 1], self.spans.get(number, ()))
        if is_changed and self._tells_ends and self._raw[number - 1].endswith("\r"):
            shown = with_note(shown, "CRLF")
        if is_changed and number == self._unended:
            shown = with_note(shown, "no line end")
        return shown


@dataclass(kw_only=True)
class _Drawing:
    """Lines that are being drawn, and both texts."""

    name: str
    lines: list[Line]
    old: _Text
    new: _Text


def draw(diffs: list[FileDiff]) -> list[Drawn]:
    """All at once, so that git and the lexer of a language are started once."""
    drawn = [Drawn(parts=parts, beyond=n) for parts, n in map(parts_of, diffs)]
    _finish(
        [
            _drawing(diff, [line for part in each.parts for line in part.lines])
            for diff, each in zip(diffs, drawn, strict=True)
            if each.parts
        ]
    )
    return drawn


def draw_gap(diff: FileDiff, gap: Gap) -> list[Line]:
    """The equal lines of a gap; none if the texts are not that long."""
    old, new = (line_count(content) for content in diff.contents)
    if gap.old + gap.lines > old or gap.new + gap.lines > new:
        return []
    lines = equal_lines(gap)
    _finish([_drawing(diff, lines)])
    return lines


def _drawing(diff: FileDiff, lines: list[Line]) -> _Drawing:
    old, new = diff.contents
    return _Drawing(
        name=diff.change.entry.path,
        lines=lines,
        old=_Text(old, max((line.old for line in lines), default=0), new),
        new=_Text(new, max((line.new for line in lines), default=0), old),
    )


def _finish(drawings: list[_Drawing]) -> None:
    _colour(drawings)
    _mark(drawings)
    for drawing in drawings:
        for line in drawing.lines:
            _write(line, drawing.old, drawing.new)


def _colour(drawings: list[_Drawing]) -> None:
    by_language: dict[str, list[_Text]] = defaultdict(list)
    for drawing in drawings:
        for text in (drawing.old, drawing.new):
            language = highlight.language_of(drawing.name, text.whole)
            by_language[language].append(text)
    for language, texts in by_language.items():
        found = highlight.snippets(language, [text.whole for text in texts])
        for text, lines in zip(texts, found, strict=True):
            text.coloured = lines


def _mark(drawings: list[_Drawing]) -> None:
    """Find the words that changed in lines that others came for."""
    found = [
        (drawing.old, drawing.new, [n.old for n in gone], [n.new for n in came])
        for drawing in drawings
        for gone, came in replaced(drawing.lines)
        if gone and came
    ]
    words = changed_words(
        [
            ([old.line(n) for n in gone], [new.line(n) for n in came])
            for old, new, gone, came in found
        ]
    )
    for (old, new, *numbers), spans in zip(found, words, strict=True):
        old.spans.update(zip(numbers[0], spans[0], strict=True))
        new.spans.update(zip(numbers[1], spans[1], strict=True))


def _write(line: Line, old: _Text, new: _Text) -> None:
    is_changed = line.kind != "same"
    if line.new:
        line.html = new.html(line.new, is_changed=is_changed)
    if line.old and line.new and old.line(line.old) == new.line(line.new):
        line.old_html = line.html
    elif line.old:
        line.old_html = old.html(line.old, is_changed=is_changed)
    if not line.new:
        line.html = line.old_html
