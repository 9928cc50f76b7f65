"""The script of runs that have an environment built ahead: tells what is there."""

import sys
from importlib.metadata import distributions

count = len({each.metadata["Name"] for each in distributions()})
version = sys.version.split()[0]
sys.stdout.write(f"Python {version} with {count} packages at {sys.executable}\n")
