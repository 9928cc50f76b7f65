"""Samples of what the processes of a job use, GPUs too where nvidia-smi answers."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.computes.conftest import MakeJob
from tests.computes.jobs import JobFolder, write_program
from tests.waiting import eventually

MIB = 1 << 20
SLEEPS = "import time; time.sleep(60)"


def samples(job: JobFolder, what: str = "some", least: int = 1) -> list[dict[str, Any]]:
    def enough() -> list[dict[str, Any]]:
        found = job.lines("resources.jsonl")
        return found if len(found) >= least else []

    return eventually(enough, f"{what} samples are written")


def test_samples_say_what_all_processes_of_the_job_use(make_job: MakeJob) -> None:
    job = make_job("""
import os, time
held = b"x" * (100 << 20)
os.fork()
while True:
    pass
""")
    job.start()
    # From the second on they say what was used since the one before.
    sample = samples(job, least=3)[-1]
    assert sample["processes"] == 2
    assert sample["memory_bytes"] > 100 * MIB
    assert sample["cpu_percent"] > 20
    assert "gpus" not in sample


def test_processor_time_of_short_lived_children_is_counted(make_job: MakeJob) -> None:
    """A script that starts one program after the other does not look idle."""
    job = make_job("""
import subprocess, sys
while True:
    subprocess.run([sys.executable, "-I", "-S", "-c", "sum(range(2_000_000))"])
""")
    job.start()
    assert samples(job, least=3)[-1]["cpu_percent"] > 20


def test_an_idle_script_uses_no_processor(make_job: MakeJob) -> None:
    job = make_job(SLEEPS)
    job.start()
    assert samples(job, least=3)[-1]["cpu_percent"] < 20


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Path:
    """Where a stand-in goes: no machine that only tests has such a card."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder / "nvidia-smi"


def start_with(job: JobFolder, nvidia_smi: Path, text: str) -> JobFolder:
    write_program(nvidia_smi, text)
    path = f"{nvidia_smi.parent}:{os.environ['PATH']}"
    job.start(env={**os.environ, "PATH": path})
    return job


def gpus(job: JobFolder) -> list[dict[str, Any]]:
    """Those of the first sample that has any."""

    def known() -> list[list[dict[str, Any]]]:
        found = [sample["gpus"] for sample in job.lines("resources.jsonl")]
        return [each for each in found if each]

    return eventually(known, "a sample names GPUs")[0]


def test_gpus_are_sampled_where_nvidia_smi_answers(
    make_job: MakeJob, nvidia_smi: Path
) -> None:
    text = """#!/bin/sh
echo "$@" > "$(dirname "$0")/asked"
echo "0, NVIDIA H100 80GB HBM3, 87, 1024, 81559"
echo "1, NVIDIA H100 80GB HBM3, [N/A], [Not Supported], 81559"
"""
    job = start_with(make_job(SLEEPS), nvidia_smi, text)
    assert gpus(job) == [
        {
            "index": 0,
            "name": "NVIDIA H100 80GB HBM3",
            "util_percent": 87.0,
            "memory_used_bytes": 1024 * MIB,
            "memory_total_bytes": 81559 * MIB,
        },
        {
            "index": 1,
            "name": "NVIDIA H100 80GB HBM3",
            "util_percent": None,
            "memory_used_bytes": None,
            "memory_total_bytes": 81559 * MIB,
        },
    ]
    asked = (nvidia_smi.parent / "asked").read_text()
    assert asked == (
        "--query-gpu=index,name,utilization.gpu,memory.used,memory.total"
        " --format=csv,noheader,nounits\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\necho 'NVIDIA-SMI has failed because'; exit 9",
        "#!/bin/sh\nprintf '\\377\\376\\000, , ,,\\n'",
        "#!/bin/sh\necho 'a, b, c, d, e'",
        "#!/bin/sh\nexit 0",
        "#!/nowhere/interpreter",
        "#!/bin/sh\nexec yes 0, endless, 1, 2, 3",
        "#!/bin/sh\nsleep 600",
    ],
    ids=["fails", "bytes", "words", "silent", "broken", "endless", "hangs"],
)
def test_nonsense_of_nvidia_smi_hurts_nobody(
    make_job: MakeJob, nvidia_smi: Path, text: str
) -> None:
    job = start_with(make_job("import time; time.sleep(1.4)"), nvidia_smi, text)
    word = job.last_word()
    assert (word["reason"], word["exit_code"]) == ("exited", 0)
    assert word["receipt"] is None, "nvidia-smi is none of the script's processes."
    assert samples(job)[-1]["processes"] == 1
    assert (job.path / "runner.log").read_text() == ""


def test_samples_of_a_job_that_ended_stay(make_job: MakeJob) -> None:
    job = make_job("import time; time.sleep(0.5)")
    job.run()
    [sample] = job.lines("resources.jsonl")
    assert sample["processes"] == 1
    assert sample["memory_bytes"] > MIB
