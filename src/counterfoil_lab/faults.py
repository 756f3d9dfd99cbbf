"""What goes wrong in a soak, when and for how long, drawn by seed: the same seed is the same schedule. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KILLS = ("kill_hub", "kill_odoo", "kill_postgres", "kill_odoo_postgres")
"""SIGKILL for a process, which is started again at once (the ERP's and the database's after a moment)."""

WEIGHTS: Mapping[str, float] = {
    "kill_hub": 4.0,
    "kill_odoo": 4.0,
    "kill_postgres": 1.0,
    "kill_odoo_postgres": 1.0,
    "stall": 0.4,
    "disk_full": 0.6,
    "clock": 0.6,
    "lost_answer": 1.0,
    "reset": 0.7,
    "slow": 0.7,
    "throttle": 0.7,
    "error": 0.7,
    "shop_lost_answer": 0.5,
    "shop_throttle": 0.5,
    "webhooks_lost": 0.3,
}
"""How often each is drawn, among those that can happen where the soak runs."""

LASTS: Mapping[str, tuple[float, float]] = {
    "kill_hub": (0.0, 0.0),
    "kill_odoo": (0.1, 1.5),
    "kill_postgres": (0.1, 1.0),
    "kill_odoo_postgres": (0.1, 1.0),
    "disk_full": (1.0, 3.0),
    "webhooks_lost": (1.0, 4.0),
}
"""Seconds it lasts, at least and at most; for a stall beyond the lease. Others: `USUALLY`."""
USUALLY = (0.5, 2.5)


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that goes wrong: `at` seconds after the beginning, for `seconds`; `share` of the requests, 0 to 1.

    `which` chooses among several processes of a kind, modulo their number.
    """

    at: float
    kind: str
    seconds: float
    which: int
    share: float

    @property
    def kills(self) -> bool:
        """Whether a process dies of it."""
        return self.kind in KILLS


def schedule(seed: str, seconds: float, every: float, kinds: Sequence[str], lease: float) -> list[Strike]:
    """Strikes over `seconds`, one about every `every` seconds, drawn from `kinds`; stalls outlast the `lease`.

    A stall is a quarter longer than the lease. Each kind comes once before any is left to chance, as far as there is
    time for all. Raises ValueError for a kind that is not known.
    """
    unknown = sorted(set(kinds) - set(WEIGHTS))
    if unknown:
        raise ValueError(f"unknown fault {unknown}, one of {', '.join(WEIGHTS)}")
    dice = random.Random(f"faults/{seed}")
    first = dice.sample(sorted(kinds), len(kinds))
    weights = [WEIGHTS[kind] for kind in sorted(kinds)]
    strikes: list[Strike] = []
    at = every * dice.uniform(0.5, 1.0)
    while at < seconds:
        kind = first.pop() if first and dice.random() < 0.5 else dice.choices(sorted(kinds), weights)[0]
        lasts = lease * 1.25 if kind in ("stall", "clock") else dice.uniform(*LASTS.get(kind, USUALLY))
        strikes.append(Strike(round(at, 3), kind, round(lasts, 3), dice.randrange(1000), dice.choice((0.3, 0.6, 1.0))))
        at += every * dice.uniform(0.5, 1.5)
    return strikes
