"""Back-pressure: while what must be on time waits for too long, what may wait slows down to a trickle.

A stream goes by the most urgent flow on it: `critical` and `latest_only` flows must be on time, and so must receipts,
which become their events; a stream with nothing but `defer` flows may wait. What is shed stays in its lanes, in order.
Every worker measures for itself, in the store, so all come to the same view of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from counterfoil.blueprint import HUB_ASK, Blueprint
from counterfoil.blueprint import Pressure as Thresholds
from counterfoil.hub.lanes import DECODE
from counterfoil.hub.pausing import is_paused
from counterfoil.hub.schema import lane
from counterfoil.hub.store import Store

TRICKLE = 1.0
"""Seconds between two calls of one worker for a stream that may wait, while there is pressure."""

Place = tuple[str, str]
"""A (system, stream)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How many deliveries that must be on time are due, and for how many seconds the first of them has been."""

    backlog: int = 0
    lag: float = 0.0


def may_wait(blueprint: Blueprint, streams: Mapping[str, str]) -> frozenset[Place]:
    """The places whose flows are all `defer`; `streams` names the stream of each `system.operation`."""
    places = {(f.system, streams[f.do]) for f in blueprint.flows if f.do in streams and f.do != HUB_ASK}
    return frozenset(places - on_time(blueprint, streams))


def on_time(blueprint: Blueprint, streams: Mapping[str, str]) -> frozenset[Place]:
    """The places that must be on time."""
    urgent = {(f.system, streams[f.do]) for f in blueprint.flows if f.do in streams and f.when_down != "defer"}
    return frozenset(urgent | {(system, DECODE) for system in blueprint.systems})


async def measure(store: Store, places: Collection[Place], most: int, closed: Collection[str] = ()) -> Reading:
    """How it stands at `places`; counted is up to `most` + 1.

    Left out are systems that are `closed` and what a person has paused: no worker can do anything for those.
    """
    wanted = sorted((s, t) for s, t in places if t == DECODE or s not in closed)
    if not wanted:
        return Reading()
    parts = []
    for system, stream in wanted:
        due = sa.and_(
            *(lane.c.system == system, lane.c.stream == stream),
            *(lane.c.worker.is_(None), lane.c.due_at <= store.now, ~is_paused(system, stream)),
        )
        some = sa.select(lane.c.n).where(due).limit(most + 1).subquery()
        parts.append(
            sa.select(
                sa.select(sa.func.coalesce(sa.func.sum(some.c.n), 0)).scalar_subquery().label("backlog"),
                sa.select(store.now - sa.func.min(lane.c.due_at)).where(due).scalar_subquery().label("lag"),
            )
        )
    async with store.read() as connection:
        rows = (await connection.execute(sa.union_all(*parts))).all()
    lags = [float(r.lag) for r in rows if r.lag is not None]
    return Reading(sum(int(r.backlog) for r in rows), max(lags, default=0.0))


class Gauge:
    """Whether there is pressure: from a threshold on until both figures are below half of theirs."""

    def __init__(self, blueprint: Blueprint, streams: Mapping[str, str]) -> None:
        self.thresholds = blueprint.pressure
        self.on_time, self.may_wait = on_time(blueprint, streams), may_wait(blueprint, streams)
        self.high = False
        self._last: dict[Place, float] = {}

    async def look(self, store: Store, closed: Collection[str]) -> Reading:
        """Measure anew."""
        reading = Reading()
        if self.may_wait:  # else there is nothing that could wait for anything
            reading = await measure(store, self.on_time, self.thresholds.backlog, closed)
        self.high = is_high(self.thresholds, reading, self.high)
        return reading

    def sheds(self, place: Place) -> bool:
        """Whether a place is to slow down now."""
        return self.high and place in self.may_wait

    def wait(self, place: Place, clock: float) -> float:
        """For how many seconds nothing more is to be started at a place, by the loop's clock; 0: go ahead."""
        if not self.sheds(place):
            return 0.0
        return max(0.0, self._last.get(place, clock - TRICKLE) + TRICKLE - clock)

    def started(self, place: Place, clock: float) -> None:
        """Something was started there."""
        self._last[place] = clock


def is_high(thresholds: Thresholds, reading: Reading, before: bool = False) -> bool:
    """Whether a reading means pressure, where there was or was not any `before`."""
    share = 0.5 if before else 1.0
    return reading.backlog > thresholds.backlog * share or reading.lag > thresholds.lag.total_seconds() * share
