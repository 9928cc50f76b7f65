"""Times runs on compute targets."""

import statistics
import time
from collections.abc import Callable, Sequence

import httpx

from benchmarks.report import Figure, spread
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, submit, upload

LINE = b"the first line"
ONE_LINE = f"print({LINE.decode()!r}, flush=True)\n"
_PATIENCE = 300


def first_line(portal: Portal, client: httpx.Client, target: str) -> float:
    """Seconds from a submission to the script's line in the mirror."""
    return run_one_line(portal, client, target=target)[0]


def run_one_line(
    portal: Portal, client: httpx.Client, *, target: str = "1", environment: str = "1"
) -> tuple[float, SubmittedRun]:
    """The same, and the run, which has ended."""
    snapshot = upload(client, {"train.py": ONE_LINE})
    begin = time.perf_counter()
    run = submit(
        portal, client, snapshot=snapshot, target=target, environment=environment
    )
    while LINE not in run.log():
        assert time.perf_counter() < begin + _PATIENCE, f"It is {run.status}."
        time.sleep(0.001)
    taken = time.perf_counter() - begin
    assert run.wait_for_end() == "Completed"
    return taken, run


def in_turn(rounds: int, *measures: Callable[[], float]) -> tuple[Sequence[float], ...]:
    """What each takes, one after another so that all see the same machine.

    A first round, in which caches are filled, does not count.
    """
    found = [[measure() for measure in measures] for _ in range(rounds + 1)]
    return tuple(zip(*found[1:], strict=True))


def first_line_figure(
    first: Sequence[float], bare: Sequence[float], *, against: str
) -> Figure:
    """First lines on a target, beside those that were had `against` its own program."""
    ours, theirs = statistics.median(first), statistics.median(bare)
    return Figure(
        what="submission → first line",
        value=spread(first),
        against=f"`{against}` {spread(bare)}",
        ratio=f"{ours / theirs:.2f} ({(ours - theirs) * 1000:+.0f} ms)",
        aim="at most 500 ms more",
    )
