"""How a working folder comes to a machine over SSH, and how much of it travels."""

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from socket import create_connection, socket
from socketserver import BaseRequestHandler, ThreadingTCPServer

from benchmarks.folders import LIMITS, change_one, make_tree, timed
from benchmarks.report import Figure, Section, spread
from computes.hosts import Source
from computes.hosts.ssh import SshHost
from runs.snapshots import Store, read_folder
from tests.services.sshd import Sshd

_ROUNDS = 3


def measure() -> Section:
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aml-")))
        sshd = stack.enter_context(Sshd())
        wire = stack.enter_context(_wire(sshd.port))
        tree = make_tree(made / "source")
        return _measure(made, tree, sshd, wire)


def _measure(made: Path, tree: Path, sshd: Sshd, wire: "_Wire") -> Section:
    store, objects = Store(made / "store"), made / "store"
    times: dict[str, list[float]] = {"first": [], "same": [], "one": []}
    rsyncs: dict[str, list[float]] = {name: [] for name in times}
    bytes_of_one = []
    for number in range(_ROUNDS):
        account = sshd.account(port=wire.port)
        root = made / f"far{number}"
        host = SshHost(account, key="ssh", root=str(root), python=sys.executable)
        host.state("none")  # The connection is there, as it is in a running portal.
        for name in times:
            if name == "one":
                change_one(tree)
            source = _source(tree, store, objects)
            before = wire.count
            stage = partial(host.stage, name, {}, source)
            times[name].append(timed(stage))
            if name == "one":
                bytes_of_one.append(wire.count - before)
            rsyncs[name].append(timed(partial(_rsync, tree, made / f"r{number}", sshd)))
        host.close()
    total = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    sent = statistics.median(bytes_of_one)
    return Section(
        title="The same folder to a machine over SSH",
        how=(
            "Over loopback, to the machine's object folder and laid out from there as a"
            " working folder, each file verified; against `rsync -a` over ssh into a"
            f" folder that it keeps; the median of {_ROUNDS}."
        ),
        figures=[
            *(
                Figure(
                    what=what,
                    value=spread(times[name]),
                    against=f"`rsync -a` {spread(rsyncs[name])}",
                    ratio=_ratio(times[name], rsyncs[name]),
                )
                for name, what in (
                    ("first", "first"),
                    ("same", "unchanged"),
                    ("one", "one file changed"),
                )
            ),
            Figure(
                what="bytes on the wire, one file changed, both ways",
                value=f"{sent / 10**6:.2f} MB",
                against=f"{total / 10**6:.0f} MB in the folder",
                ratio=f"{sent / total:.2%}",
                aim="≤ 2 %",
            ),
        ],
    )


def _ratio(own: list[float], other: list[float]) -> str:
    return f"{statistics.median(own) / statistics.median(other):.2f}"


def _source(tree: Path, store: Store, objects: Path) -> Source:
    manifest = read_folder(tree, store, LIMITS).manifest
    return Source(entries=json.loads(manifest.to_json()), objects=objects)


def _rsync(tree: Path, to: Path, sshd: Sshd) -> None:
    *ssh, host = sshd.command()
    command = ["rsync", "-a", "-e", shlex.join(ssh), f"{tree}/", f"{host}:{to}/"]
    subprocess.run(command, check=True)


class _Wire(ThreadingTCPServer):
    """Passes on what comes and counts it."""

    daemon_threads = True

    def __init__(self, to: int) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.to = to
        self.count = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Pass(BaseRequestHandler):
    server: _Wire

    def handle(self) -> None:
        far = create_connection(("127.0.0.1", self.server.to))
        back = threading.Thread(target=self._pass, args=(far, self.request))
        back.start()
        self._pass(self.request, far)
        back.join()

    def _pass(self, source: socket, target: socket) -> None:
        while data := source.recv(1 << 16):
            self.server.count += len(data)
            target.sendall(data)


@contextmanager
def _wire(to: int) -> Iterator[_Wire]:
    with _Wire(to) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
