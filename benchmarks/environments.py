"""Environments: how long until one is ready, alone and for fifty runs at once."""

import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bare_environments import PACKAGES, PYTHON, Bare
from benchmarks.portals import running_portal
from benchmarks.report import Figure, Section, spread
from benchmarks.targets import ONE_LINE, in_turn, run_one_line
from tests.services.portal import Portal
from tests.services.runs import SubmittedRun, set_places, submit, upload

_ROUNDS, _WARM_ROUNDS, _MANY_ROUNDS = 5, 12, 3
_MANY = 50
_USER_MANAGED = "1"


def measure() -> list[Section]:
    with tempfile.TemporaryDirectory(prefix="aml-bench-") as made:
        bare = Bare(Path(made))
        with running_portal(**bare.portal_settings) as portal:
            built = _Built(portal=portal, client=portal.sign_in())
            return [_to_ready(bare, built), _overhead(built), _at_once(built)]


@dataclass(kw_only=True)
class _Built:
    """An environment of the same packages that the portal builds, on its machine."""

    portal: Portal
    client: httpx.Client
    versions: int = 0

    def define(self) -> str:
        """A new version, which comes to the same; what a form calls it."""
        self.versions += 1
        form = {
            "name": "measured",
            "how": "packages",
            "python": PYTHON,
            "packages": "\n".join(PACKAGES),
            "variables": f"VERSION={self.versions}",
        }
        page = self.client.post("/environments/new/", data=form)
        key = re.search(r"\?from=(\d+)", page.text)
        assert key, page.text
        return key[1]

    def forget(self, *, packages: bool) -> None:
        """Remove what was built, and what uv keeps of its packages."""
        for path in self._root.glob("*"):
            if packages or path.name != "cache":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if packages:
            shutil.rmtree(self.portal.data / "packages", ignore_errors=True)

    def run(self, environment: str) -> tuple[float, SubmittedRun]:
        return run_one_line(self.portal, self.client, environment=environment)

    @property
    def _root(self) -> Path:
        return self.portal.data / "environments"


def _to_ready(bare: Bare, built: _Built) -> Section:
    known = built.define()

    def by_portal(environment: str, *, packages: bool) -> float:
        built.forget(packages=packages)
        return built.run(environment)[0]

    new = in_turn(
        _ROUNDS,
        lambda: by_portal(built.define(), packages=True),
        lambda: bare.by_uv(resolves=True),
    )
    built.run(known)
    locked = in_turn(
        _ROUNDS,
        lambda: by_portal(known, packages=True),
        bare.by_uv,
        bare.by_pip,
    )
    cached = in_turn(
        _ROUNDS,
        lambda: by_portal(known, packages=False),
        lambda: bare.by_uv(forgets=False),
    )
    return Section(
        title=f"An environment with {', '.join(PACKAGES)}",
        how=(
            "From the submission over HTTP to the first line of a script, which imports"
            " none of them; against `uv pip compile` where it is resolved, `uv venv`,"
            " `uv pip install` from the same lock and the same script, or `python -m"
            " venv` and `pip install`. The index is a folder on the disk, so that the"
            " network is not measured. The environment is not there; uv's cache is"
            f" empty, or has them unpacked. {_ROUNDS} of each, in turn."
        ),
        figures=[
            _ready_figure("a new definition, uv's cache empty", new),
            _ready_figure("resolved before, uv's cache empty", locked),
            _ready_figure("resolved before, all in uv's cache", cached),
        ],
    )


def _ready_figure(what: str, times: Sequence[Sequence[float]]) -> Figure:
    portal, *others = times
    against = zip(("uv", "pip"), others, strict=False)
    ratios = [statistics.median(portal) / statistics.median(each) for each in others]
    return Figure(
        what=what,
        value=spread(portal),
        against=", ".join(f"{name} {spread(each)}" for name, each in against),
        ratio=", ".join(f"{ratio:.2f}" for ratio in ratios),
        aim="≤ 1.3 times uv",
    )


def _overhead(built: _Built) -> Section:
    """Of a run whose environment is there, as the ones before have left it."""
    starts: dict[str, list[float]] = {}

    def first_line(environment: str) -> float:
        taken, run = built.run(environment)
        starts.setdefault(environment, []).append(_start(run))
        return taken

    ready = built.define()
    own, found = in_turn(
        _WARM_ROUNDS, lambda: first_line(_USER_MANAGED), lambda: first_line(ready)
    )
    return Section(
        title="A run whose environment is ready",
        how=(
            "The same script with an interpreter that is used as it is, and with the"
            f" environment above, which is there. {_WARM_ROUNDS} of each, in turn."
        ),
        figures=[
            _more_figure("submission → first line", found, own),
            _more_figure(
                "runner → script", starts[ready][1:], starts[_USER_MANAGED][1:]
            ),
        ],
    )


def _start(run: SubmittedRun) -> float:
    """Seconds from when the runner had the job until it has started the script."""
    begin, end = (_times(run, event)[0] for event in ("supervising", "started"))
    return end - begin


def _more_figure(what: str, found: Sequence[float], own: Sequence[float]) -> Figure:
    more = statistics.median(found) - statistics.median(own)
    return Figure(
        what=what,
        value=spread(found),
        against=f"user-managed {spread(own)}",
        ratio=f"{more * 1000:+.0f} ms",
        aim="≤ 100 ms more",
    )


def _at_once(built: _Built) -> Section:
    set_places(built.portal, _MANY)
    environment = built.define()
    builds: list[float] = []

    def needing_it() -> float:
        built.forget(packages=True)
        taken, runs = _many(built, environment)
        builds.append(_one_build(runs))
        return taken

    new, ready = in_turn(_MANY_ROUNDS, needing_it, lambda: _many(built, environment)[0])
    ratio = statistics.median(new) / statistics.median(builds[1:])
    return Section(
        title=f"{_MANY} runs that need one new environment at once",
        how=(
            "The same packages, uv's cache empty. Submitted over HTTP one after"
            " another, on a target that takes as many; until the last script has"
            f" started. One of the runs builds. {_MANY_ROUNDS} times each, in turn."
        ),
        figures=[
            Figure(
                what=f"all {_MANY} have started",
                value=spread(new),
                against=f"the one build {spread(builds[1:])}",
                ratio=f"{ratio:.2f}",
            ),
            Figure(what="the same, once it is ready", value=spread(ready)),
        ],
    )


def _many(built: _Built, environment: str) -> tuple[float, list[SubmittedRun]]:
    """Seconds until the last of many runs has started, and all of them."""
    portal, client = built.portal, built.client
    snapshot = upload(client, {"train.py": ONE_LINE})
    begin = time.time()
    runs = [
        submit(portal, client, snapshot=snapshot, environment=environment)
        for _ in range(_MANY)
    ]
    for run in runs:
        assert run.wait_for_end(timeout=300) == "Completed"
    return max(_times(run, "started")[0] for run in runs) - begin, runs


def _one_build(runs: Sequence[SubmittedRun]) -> float:
    """Seconds that the build took; there has to be one for all of the runs."""
    told = [event for run in runs for event in _events(run)]
    (build,) = [event for event in told if event.get("state") == "built"]
    return float(build["seconds"])


def _times(run: SubmittedRun, event: str) -> list[float]:
    return [each["time"] for each in _events(run) if each["event"] == event]


def _events(run: SubmittedRun) -> list[dict[str, Any]]:
    lines = (run.mirror / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
