"""A stand-in for nvidia-smi, whose answers have the form of the real one."""

import stat
from collections.abc import Sequence
from pathlib import Path

_PROGRAM = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$@" >> asked
test -e hangs && sleep 600
cat failure 2>/dev/null && exit 9
case "$1" in
  --query-gpu=index,name,uuid,utilization.gpu,memory.used,memory.total) cat gpus ;;
  --query-compute-apps=gpu_uuid,pid,used_memory) cat processes ;;
  *) echo "Field is not a valid field to query."; exit 2 ;;
esac
"""
# As a driver of a machine whose kernel was renewed has it.
NO_DRIVER = """\
NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. \
Make sure that the latest NVIDIA driver is installed and running.

"""


class NvidiaSmi:
    """The program `nvidia-smi` in a folder, which is to be the first in the PATH."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        program = folder / "nvidia-smi"
        program.write_text(_PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP)
        self.has(0)

    @property
    def path(self) -> str:
        return f"{self.folder}:/usr/local/bin:/usr/bin:/bin"

    def has(self, count: int, *, used: Sequence[int] = ()) -> None:
        """So many A100, of whose memory so many MiB are in use."""
        used = [*used, *[4] * (count - len(used))]
        self.says(
            *(
                f"{index}, NVIDIA A100-SXM4-40GB, {uuid(index)}, 0, {mib}, 40960"
                for index, mib in enumerate(used)
            )
        )

    def says(self, *gpus: str, processes: Sequence[str] = ()) -> None:
        (self.folder / "gpus").write_text("".join(f"{line}\n" for line in gpus))
        self.runs(*processes)

    def runs(self, *processes: str) -> None:
        lines = "".join(f"{line}\n" for line in processes)
        (self.folder / "processes").write_text(lines)

    def fails(self, said: str = NO_DRIVER) -> None:
        (self.folder / "failure").write_text(said)

    def hangs(self) -> None:
        (self.folder / "hangs").touch()

    def works(self) -> None:
        """Again, after it has failed or hung."""
        for name in ("failure", "hangs"):
            (self.folder / name).unlink(missing_ok=True)

    def times_asked(self) -> int:
        asked = self.folder / "asked"
        return asked.read_text().count("--query-gpu") if asked.exists() else 0


def uuid(index: int) -> str:
    return f"GPU-{index:08x}-1111-2222-3333-444455556666"
