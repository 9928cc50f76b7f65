"""Prints bytes of all sizes for a while, then says what it printed.

Usage: chatty.py SEED SECONDS
"""

import hashlib
import os
import random
import sys
import time
from pathlib import Path

rnd = random.Random(int(sys.argv[1]))
until = time.monotonic() + float(sys.argv[2])
printed = hashlib.sha256()
while time.monotonic() < until:
    data = rnd.randbytes(rnd.choice([1, 40, 3000, 80_000])) + rnd.choice([b"", b"\n"])
    printed.update(data)
    while data:
        data = data[os.write(rnd.choice([1, 2]), data) :]
    time.sleep(rnd.random() * 0.03)
Path("outputs/printed.txt").write_text(printed.hexdigest())
sys.exit(rnd.choice([0, 0, 3]))
