"""A process whose clock jumps: the hub's time and SQLite's go together, by the file, while it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, sys, time
from pathlib import Path
import sqlalchemy as sa
from counterfoil.hub.store import Store
from counterfoil_lab.jumping import SEEN_FOR, Clock

async def ahead(file, store, seconds):
    file.write_text(str(seconds))
    time.sleep(SEEN_FOR * 1.5)
    async with store.read() as connection:
        database = await connection.scalar(sa.select(store.now))
    print(*(round((clock - real()) / 60) for clock in (time.time(), database)))  # in minutes: machines are slow

async def main(file):
    store = Store("sqlite:///" + str(file.with_suffix(".db")))
    for seconds in (0, 3600, -60):
        await ahead(file, store, seconds)
    await store.close()

real = time.time
file = Path(sys.argv[1])
Clock(file).install()
asyncio.run(main(file))
"""


def test_the_hubs_clock_and_sqlites_follow_the_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, tmp_path / "clock"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.splitlines() == ["0 0", "60 60", "-1 -1"]
