"""Many sockets that follow one log; prints how late its lines, clock times, came.

Usage: python -m benchmarks.watchers ADDRESS ORIGIN COUNT, with the cookies on the
standard input. Prints "ready" when all follow, and a JSON list of seconds at the end.
"""

import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect
from websockets.typing import Origin


async def watch(
    address: str, origin: str, cookie: str, ready: asyncio.Barrier
) -> list[float]:
    late, rest = [], b""
    async with connect(
        address, origin=Origin(origin), additional_headers={"Cookie": cookie}
    ) as socket:
        await socket.send(json.dumps({"type": "follow", "from": 0}))
        await ready.wait()
        async for message in socket:
            if isinstance(message, bytes):
                now = time.time()
                *lines, rest = (rest + message[8:]).split(b"\n")
                late += [now - float(line) for line in lines]
            elif json.loads(message)["type"] == "end":
                return late
    raise ConnectionError("The stream ended without its last message.")


async def main(address: str, origin: str, count: int) -> None:
    cookie = sys.stdin.readline().strip()
    ready = asyncio.Barrier(count + 1)
    watching = [
        asyncio.create_task(watch(address, origin, cookie, ready)) for _ in range(count)
    ]
    await ready.wait()
    print("ready", flush=True)
    late = await asyncio.gather(*watching)
    print(json.dumps([each for one in late for each in one]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
