"""Run by the tests as a process of its own: `counterfoil run` that hangs in the middle of a poll, to be killed there.

usage: hanging_hub.py BLUEPRINT SYSTEM REACHED

The first page of the system's feeds that holds anything new is written, and its commit never comes. The file REACHED
tells the test that the moment has come.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from counterfoil.doors import assembly, serve
from counterfoil.hub import receipts
from counterfoil.hub.receipts import Arrival


def hang_in_a_poll(system: str, reached: Path) -> None:
    """From now on, in this process."""
    take = receipts.take

    async def hanging(connection: Any, store: Any, arrivals: Sequence[Arrival]) -> int:
        kept = await take(connection, store, arrivals)
        if kept and {(a.system, a.origin) for a in arrivals} == {(system, "poll")}:
            reached.touch()  # noqa: ASYNC240 - all it does from now on is to hang
            await asyncio.sleep(3600)
        return kept

    receipts.take = hanging


if __name__ == "__main__":
    hang_in_a_poll(sys.argv[2], Path(sys.argv[3]))
    asyncio.run(serve.run(assembly.load(sys.argv[1])))
