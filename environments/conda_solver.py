"""Asks rattler which packages of conda go together, in a process of its own.

So what it needs of memory and time ends with it. Standard input and output are JSON;
environments/conda.py writes the one and reads the other.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import rattler


async def solve(asked: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    client = _client(asked["auth"], folder)
    records = await rattler.solve(
        asked["channels"],
        asked["specs"],
        platforms=[asked["subdir"], "noarch"],
        virtual_packages=[
            rattler.GenericVirtualPackage(
                rattler.PackageName(name),
                rattler.Version(version),
                rattler.BuildString("0"),
            )
            for name, version in asked["virtual"].items()
        ],
        gateway=rattler.Gateway(cache_dir=asked["cache"], client=client),
    )
    return [json.loads(record.to_json()) for record in records]


def _client(auth: dict[str, Any], folder: Path) -> rattler.Client:
    file = folder / "auth.json"
    file.write_text(json.dumps(auth))
    config = f"authentication-override-file = {json.dumps(str(file))}"
    return rattler.Client.from_config(rattler.Config.from_toml(config))


def main() -> None:
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        try:
            answer: Any = {"records": asyncio.run(solve(asked, Path(folder)))}
        except Exception as error:
            # Those of rattler have no class in common.
            answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
    # Python's own way out can end in a crash while a thread of rattler still ends.
    os._exit(0)
