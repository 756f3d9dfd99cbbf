"""The drift audit: read both sides page by page, judge what differs, look at each suspect again, and make it even.

Only reading is done to the systems, within their declared limits and those they tell of. A row is called drift when it
differs at a second look too, taken after its lanes were quiet, and the feeds that would tell of a change have looked
once more since without a delivery coming of it. What goes on changing is in flight.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from counterfoil.hub import mending
from counterfoil.hub.contract import Failure, Kind
from counterfoil.retail.events import at_utc
from counterfoil.watch import drift_repair
from counterfoil.watch.drift import Bearing, Finding, Row, Tally, Verdict, judge
from counterfoil.watch.drift_house import House, Source, again, quiet

TRIES = 4
"""How often a listing is begun that broke off; what was read is not read again."""
FIRST_WAIT = 1.0
"""Seconds before the second try; each further one waits twice as long."""
UNHEARD = 60.0
"""Seconds within which a change may not have been heard of where nobody polls."""
NEVER = float("inf")
_PASSING = (Kind.RETRY, Kind.DOWN, Kind.THROTTLED)

Tick = Callable[[str, int], None]


@dataclass(slots=True)
class Report:
    """What an audit of one thing between two systems found. `unread`: why it is not whole. Times are UTC."""

    what: str
    shop: str
    erp: str
    since: datetime | None
    began: datetime
    ended: datetime | None = None
    tally: Tally = field(default_factory=Tally)
    unread: str = ""
    exceptions: int = 0
    served: bool = True

    @property
    def is_even(self) -> bool:
        """Whether all of it was read and nothing drifts."""
        return self.tally.is_even and not self.unread


async def audit(
    house: House,
    source: Source,
    since: datetime | None,
    repair: bool = False,
    ask: bool = False,
    tick: Tick = lambda _label, _n: None,
    who: str = "",
) -> Report:
    """Compare, and if told to `repair` what has a clear owner and to `ask` a person about the rest.

    Raises what the store raised; a system that cannot be read makes the report unread.
    """
    pair, run = source.pair, f"drift:{secrets.token_hex(6)}"
    report = Report(source.what, pair.shop, pair.erp, since, at_utc(await mending.clock(house.store)))
    known = await mending.open_drift(house.store, source.what, pair.erp)
    over: set[int] = set()
    suspects: list[Row] = []

    def settle(row: Row, finding: Finding | None) -> None:
        report.tally.add(row, finding)
        if row.key in known and (finding is None or finding.verdict is not Verdict.DRIFT):
            over.add(known[row.key])

    label = f"{source.what} of {pair.shop} and {pair.erp}"
    try:
        async for rows, began in _read(house, source):
            tick(label, len(rows))
            for row, finding in await _judged(house, source, rows, began, NEVER):
                if finding is not None and finding.verdict is Verdict.DRIFT:
                    suspects.append(row)
                else:
                    settle(row, finding)
        tick(f"looked at again: {label}", 0)
        confirmed = await _confirmed(house, source, suspects, report)
    except Failure as failure:
        outcome = failure.outcome
        report.unread = " ".join(filter(None, (outcome.message, outcome.suggestion))) or outcome.reason
        report.ended = at_utc(await mending.clock(house.store))
        return report
    drift = [finding for _, finding in confirmed if finding is not None and finding.verdict is Verdict.DRIFT]
    repaired = await drift_repair.repaired(house, source, drift, run, who) if repair else drift
    if repair and report.served:  # else nobody carries out now what was queued
        repaired = await drift_repair.helped(house, source, repaired)
    left = [finding for finding in repaired if not finding.repaired]
    by_key = {finding.row.key: finding for finding in repaired}
    for row, finding in confirmed:
        settle(row, by_key.get(row.key, finding))
    if ask:
        entries = [(f.row.key, *drift_repair.words(pair, f)) for f in left]
        owner = house.blueprint.exceptions.owner_of(mending.DRIFT, "rejected")
        report.exceptions = await mending.ask(house.store, source.what, pair.erp, entries, owner, known)
        await mending.is_even(house.store, over)
    report.ended = at_utc(await mending.clock(house.store))
    return report


async def _read(house: House, source: Source) -> AsyncIterator[tuple[list[Row], float]]:
    """All pages with the moment each was begun at; a listing that breaks off is begun again."""
    attempt = 1
    while True:
        try:
            began = await mending.clock(house.store)
            async for rows in source.pages():
                source.learn(rows)
                yield rows, began
                began = await mending.clock(house.store)
            return
        except Failure as failure:
            if failure.outcome.kind not in _PASSING or attempt >= TRIES:
                raise
            wait = FIRST_WAIT * 2 ** (attempt - 1)
            if failure.outcome.until is not None:
                wait = max(wait, min(60.0, (failure.outcome.until - datetime.now(UTC)).total_seconds()))
            await asyncio.sleep(wait)
            attempt += 1


async def _judged(
    house: House, source: Source, rows: Sequence[Row], since: float, fresh_after: float
) -> list[tuple[Row, Finding | None]]:
    """Each row with its verdict by what the hub knows now."""
    asked = [row for row in rows if row.differs and not row.declared]
    subjects = {subject for row in asked for subject in row.subjects}
    systems = (source.pair.shop, source.pair.erp)
    # outcomes last: what is not open any more has its outcome there
    open_ = await mending.open_deliveries(house.store, subjects, systems)
    names = subjects | {row.key for row in asked}
    persons = await mending.exceptions_about(house.store, names, systems, source.what)
    ended = await mending.last_outcomes(house.store, subjects, systems)
    return [(row, judge(row, _bearing(row, open_, persons, ended), since, fresh_after)) for row in rows]


def _bearing(
    row: Row, open_: Mapping[str, int], persons: Mapping[str, mending.Asked], ended: Mapping[str, float]
) -> Bearing:
    told = [persons[subject] for subject in row.subjects if subject in persons]
    own = persons.get(row.key)
    told += [own] if own is not None and own.reason == mending.DRIFT else []
    done_at = max((ended.get(subject, 0.0) for subject in row.subjects), default=0.0)
    waits = next((one for one in told if one.status == "open"), None)
    # what has been done about it since makes a decision a thing of the past; closing it is an outcome of its own
    closed = next((one for one in told if one.status != "open" and one.closed_at >= done_at - 5.0), None)
    return Bearing(
        sum(open_.get(subject, 0) for subject in row.subjects),
        waits.number if waits else None,
        waits.reason if waits else "",
        closed.number if closed else None,
        closed.status if closed else "",
        done_at,
    )


async def _confirmed(
    house: House, source: Source, suspects: Sequence[Row], report: Report
) -> list[tuple[Row, Finding | None]]:
    """The suspects as they are at a second look, each with its verdict. Raises Failure.

    Judged is after the feeds have looked once more: what either side had changed by the second look has been heard of
    by then, and its delivery is open, or has ended since that look was begun.
    """
    if not suspects:
        return []
    await quiet(house, source, suspects)
    began = await mending.clock(house.store)
    now = await again(source, suspects)
    report.served = await _heard(house, source)
    return await _judged(house, source, now, began, NEVER if report.served else began - UNHEARD)


async def _heard(house: House, source: Source) -> bool:
    """Wait until every feed has looked since now that somebody polls; whether all of them are polled."""
    feeds = source.feeds
    since = await mending.clock(house.store)
    limit = asyncio.get_running_loop().time() + 2 * max(feeds.values(), default=0.0) + 15.0
    while True:
        looked = await mending.looked(house.store, feeds)
        waiting = [place for place, at in looked.items() if at is not None and at <= since]
        if not waiting or asyncio.get_running_loop().time() > limit:
            return None not in looked.values()
        await asyncio.sleep(0.2)
