"""What was measured, and the page that shows it."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A row of the page: `what`, how it came out, and what it is held against."""

    what: str
    value: str
    against: str = ""
    ratio: str = ""
    aim: str = ""

    def to_markdown(self) -> str:
        cells = [self.what, self.value, self.against, self.ratio, self.aim]
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    how: str
    figures: Sequence[Figure]

    def to_markdown(self) -> str:
        rows = [each.to_markdown() for each in self.figures]
        head = ["| what | portal | against | ratio | aim |", "|---|---|---|---|---|"]
        return "\n".join([f"## {self.title}", "", self.how, "", *head, *rows, ""])


_HEAD = """# Results

Written by `make bench`. Figures of one machine in one run: compare the ratios, not the
seconds.

{machine}.

"""


def write(sections: Sequence[Section], path: Path) -> None:
    text = "\n".join(section.to_markdown() for section in sections)
    path.write_text(_HEAD.format(machine=_machine()) + text, encoding="utf-8")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms"


def spread(values: Sequence[float]) -> str:
    """The median in milliseconds, and the extremes."""
    low, high = min(values) * 1000, max(values) * 1000
    return f"{milliseconds(statistics.median(values))} ({low:.0f} to {high:.0f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _machine() -> str:
    facts = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{os.cpu_count()} cores ({_processor()})",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
    ]
    return ", ".join(facts)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
