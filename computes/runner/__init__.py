"""The one file that is shipped to compute targets; nothing here is imported by it."""

from pathlib import Path

RUNNER = Path(__file__).with_name("runner.py")
