"""How long it takes to keep a source folder, against git, rsync and Azure ML."""

import json
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.report import Figure, Section, milliseconds, spread
from computes.runner.staging import Objects
from runs.snapshots import Limits, Store, read_folder

_SMALL, _LARGE, _LARGE_BYTES = 10_000, 3, 100_000_000
LIMITS = Limits(max_bytes=2 * 10**9, max_files=50_000)
_ROUNDS = 3
# A file must be so many seconds old before its state alone tells that it is as it was.
_AGE = 3
_MERKLE = """
import sys, time, warnings
warnings.filterwarnings("ignore")
from azureml._base_sdk_common.merkle_tree import create_merkletree
start = time.perf_counter()
create_merkletree(sys.argv[1], lambda path: False)
print(time.perf_counter() - start)
"""


def measure() -> Section:
    with tempfile.TemporaryDirectory(prefix="aml-bench-") as made:
        return _measure(Path(made), make_tree(Path(made) / "source"))


def make_tree(folder: Path) -> Path:
    """The folder that all figures of snapshots are about."""
    chance = random.Random(1)
    for number in range(_SMALL):
        path = folder / f"package{number % 100}" / f"part{number % 7}" / f"{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(200, 9000)))
    for number in range(_LARGE):
        (folder / f"weights{number}.bin").write_bytes(chance.randbytes(_LARGE_BYTES))
    (folder / "train.py").write_text("print('ready')\n")
    (folder / ".gitignore").write_text("*.pyc\n*.log\n/build/\ndist/\n**/tmp/*\n")
    time.sleep(_AGE)
    return folder


def change_one(tree: Path) -> None:
    with (tree / "package7" / "part0" / "7.py").open("ab") as file:
        file.write(b"# one more line\n")


def _measure(made: Path, tree: Path) -> Section:
    """First, unchanged, one file changed: each by the portal and by its rivals."""
    keepers = {"portal": _portal, "git add": _git, "rsync -a": _rsync}
    times: dict[str, list[list[float]]] = {name: [] for name in keepers}
    for number in range(_ROUNDS):
        for name, keeper in keepers.items():
            # Each in a fresh place: ext4 is slow where much was just removed.
            keep = keeper(made / f"{name.split()[0]}{number}", tree)
            taken = [timed(keep), timed(keep)]
            change_one(tree)
            times[name].append([*taken, timed(keep)])
            time.sleep(_AGE)
    cases = {
        "first": "5 times as fast as git add",
        "unchanged": "≤ 200 ms",
        "one file changed": "",
    }
    figures = [
        _compared(what, aim, {n: [t[place] for t in times[n]] for n in times})
        for place, (what, aim) in enumerate(cases.items())
    ]
    return Section(
        title="Snapshot of a folder",
        how=(
            f"{_SMALL:,} small files and {_LARGE} of {_LARGE_BYTES // 10**6} MB, in"
            f" memory already; the median of {_ROUNDS}. The portal forces all to the"
            " disk, the others do not. Azure ML's own hashing (azureml-core) reads all"
            " each time, and keeps nothing. A ratio below 1 means faster."
        ),
        figures=[*figures, _azure(made, tree), _checkout(made, tree)],
    )


def _compared(what: str, aim: str, times: dict[str, list[float]]) -> Figure:
    own = times["portal"]
    others = {n: statistics.median(t) for n, t in times.items() if t is not own}
    return Figure(
        what=what,
        value=spread(own),
        against=", ".join(f"`{n}` {milliseconds(t)}" for n, t in others.items()),
        ratio=", ".join(f"{statistics.median(own) / t:.2f}" for t in others.values()),
        aim=aim,
    )


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _portal(to: Path, tree: Path) -> Callable[[], object]:
    return lambda: read_folder(tree, Store(to), LIMITS)


def _git(to: Path, tree: Path) -> Callable[[], object]:
    git = ["git", f"--git-dir={to}", f"--work-tree={tree}", "-c", "gc.auto=0"]
    subprocess.run(["git", "init", "-q", "--bare", to], check=True)
    return lambda: subprocess.run([*git, "add", "-A"], cwd=tree, check=True)


def _rsync(to: Path, tree: Path) -> Callable[[], object]:
    return lambda: subprocess.run(["rsync", "-a", f"{tree}/", f"{to}/"], check=True)


def _azure(made: Path, tree: Path) -> Figure:
    """In an environment of its own, which needs much that nothing else here does."""
    place = made / "azure"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "azureml-core", "setuptools<81"]
    if subprocess.run(pip, capture_output=True).returncode:
        return Figure(what="azureml-core's hashing", value="could not be installed")
    times = []
    for _ in range(_ROUNDS):
        done = subprocess.run(
            [python, "-c", _MERKLE, tree], capture_output=True, check=True, text=True
        )
        times.append(float(done.stdout))
    store = Store(made / "portal0")
    own = [timed(lambda: read_folder(tree, store, LIMITS)) for _ in range(_ROUNDS)]
    return Figure(
        what="unchanged, once more",
        value=spread(own),
        against=f"azureml-core's hashing {spread(times)}",
        ratio=f"{statistics.median(own) / statistics.median(times):.2f}",
    )


def _checkout(made: Path, tree: Path) -> Figure:
    store = Store(made / "portal0")
    manifest = read_folder(tree, store, LIMITS).manifest
    entries, objects = json.loads(manifest.to_json()), Objects(str(made / "portal0"))
    own, copies = [], []
    for number in range(_ROUNDS):
        work, copy = made / f"work{number}" / "work", made / f"copy{number}"
        own.append(timed(partial(objects.lay_out, entries, str(work))))
        copies.append(timed(partial(shutil.copytree, tree, copy)))
    return Figure(
        what="checkout into a working folder, each file verified",
        value=spread(own),
        against=f"`shutil.copytree` {spread(copies)}",
        ratio=f"{statistics.median(own) / statistics.median(copies):.2f}",
    )
