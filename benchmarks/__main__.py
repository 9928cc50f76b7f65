"""Measure all, and write benchmarks/results.md; or some, named as arguments."""

import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks import (
    big_log,
    environments,
    first_line,
    folders,
    history,
    idle,
    in_docker,
    latency,
    on_slurm,
    on_spark,
    over_ssh,
    report,
    short_runs,
    startup,
    to_target,
    uploads,
)
from benchmarks.portals import running_portal
from tests.services.portal import Portal

_RESULTS = Path(__file__).parent / "results.md"
Measure = Callable[[Portal, httpx.Client], report.Section | list[report.Section]]
# The idle portal is looked at first, while it has done nothing yet.
_MEASURES: dict[str, Measure] = {
    "idle": lambda portal, _: idle.measure(portal),
    "first_line": first_line.measure,
    "latency": latency.measure,
    "big_log": big_log.measure,
    "short_runs": short_runs.measure,
    "history": history.measure,
    "folders": lambda *_: folders.measure(),
    "uploads": uploads.measure,
    "over_ssh": over_ssh.measure,
    "in_docker": in_docker.measure,
    "on_slurm": on_slurm.measure,
    "on_spark": on_spark.measure,
    "environments": lambda *_: environments.measure(),
    "to_target": lambda *_: to_target.measure(),
    "startup": lambda *_: startup.measure(),
}


def main(names: list[str]) -> None:
    sections: list[report.Section] = []
    with running_portal() as portal:
        client = portal.sign_in()
        for name in names or _MEASURES:
            print(f"Measuring {name}", flush=True)
            found = _MEASURES[name](portal, client)
            for section in found if isinstance(found, list) else [found]:
                print(section.to_markdown(), flush=True)
                sections.append(section)
    if not names:
        report.write(sections, _RESULTS)


if __name__ == "__main__":
    main(sys.argv[1:])
