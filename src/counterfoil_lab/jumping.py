"""`counterfoil`, seeing a clock that jumps: the hub's own, and SQLite's, which is in the same process.

    python -m counterfoil_lab.jumping CLOCK-FILE run -b blueprint.yaml

The file holds by how many seconds that clock is ahead of the real one, and may be rewritten at any moment. What
`datetime.now()` and other machines say (a PostgreSQL, the systems) stays as it is: they have clocks of their own.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from counterfoil.doors.cli import app

SEEN_FOR = 0.1
"""Seconds after which the file is read again."""


class Clock:
    """The time of day by the file; as it was read last while the file is being written."""

    def __init__(self, file: Path) -> None:
        self.file, self.real = file, time.time
        self._ahead, self._read_at = 0.0, -SEEN_FOR

    def now(self) -> float:
        """Seconds since the epoch."""
        if time.monotonic() - self._read_at > SEEN_FOR:
            self._read_at = time.monotonic()
            with contextlib.suppress(OSError, ValueError):
                self._ahead = float(self.file.read_text())
        return self.real() + self._ahead

    def julianday(self, _now: str) -> float:
        """As SQLite's own, of now."""
        return self.now() / 86400.0 + 2440587.5

    def install(self) -> None:
        """Let this process see it."""
        time.time = self.now

        @sa.event.listens_for(sa.Engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            if hasattr(connection, "create_function"):
                # "deterministic": worked out once in a statement, as the real one is
                connection.create_function("julianday", 1, self.julianday, deterministic=True)


if __name__ == "__main__":
    Clock(Path(sys.argv[1])).install()
    app(sys.argv[2:])
