"""The real azureml-core, in an environment of its own under .tools/.

`python -m tests.services.azureml` makes it, as `make test-install` does.
"""

import subprocess
import sys
from pathlib import Path

from environments.uv import program

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".tools" / "azureml"
# The second is what the first imports and does not name.
_PACKAGES = ("azureml-core==1.61.0.post4", "setuptools==84.2.1")


def interpreter() -> Path:
    """Its Python; the environment is made where it is missing."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / "installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(_PACKAGES):
        uv = [str(program()), "--quiet", "--no-python-downloads"]
        made = [*uv, "venv", "--clear", "--python", sys.executable, str(FOLDER)]
        subprocess.run(made, check=True)
        install = [*uv, "pip", "install", "--python", str(python), *_PACKAGES]
        subprocess.run(install, check=True)
        stamp.write_text("\n".join(_PACKAGES))
    return python


def run_azureml(code: str, folder: Path) -> str:
    """What the code prints; it runs in the folder."""
    done = subprocess.run(
        [interpreter(), "-W", "ignore", "-c", code],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


if __name__ == "__main__":
    interpreter()
