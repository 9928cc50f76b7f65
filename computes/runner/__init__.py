"""The files that are shipped to compute targets; they import nothing but each other."""

from pathlib import Path

BOOT = Path(__file__).with_name("boot.py")
RUNNER = Path(__file__).with_name("runner.py")
SHIPPED = tuple(
    Path(__file__).with_name(name)
    for name in (
        "__main__.py",
        "batch.py",
        "bridge.py",
        "building.py",
        "commands.py",
        "conda.py",
        "docked.py",
        "environment.py",
        "facts.py",
        "following.py",
        "gpus.py",
        "locks.py",
        "masking.py",
        "outputs.py",
        "package_cache.py",
        "pins.py",
        "rank.py",
        "reasons.py",
        "resolving.py",
        "runner.py",
        "samples.py",
        "server.py",
        "staging.py",
    )
)
