"""Reads a growing log by line number, byte offset or content, however large it is.

A log is bytes, and `\\n` alone ends a line. Each look at one costs the answer and at
most a few strides of the index, never the whole log. No Django here.
"""

from runs.logs.index import STRIDE, LogIndexWriter
from runs.logs.reader import (
    Line,
    LineLimits,
    LogReader,
    line_of,
    tail_start,
    total_lines,
)
from runs.logs.search import Found, Hit, search

__all__ = [
    "STRIDE",
    "Found",
    "Hit",
    "Line",
    "LineLimits",
    "LogIndexWriter",
    "LogReader",
    "line_of",
    "search",
    "tail_start",
    "total_lines",
]
