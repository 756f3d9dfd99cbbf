"""The reconciling poll: a webhook is a hint, and this stands behind it, through the same receipts.

A page's receipts and the cursor behind them are committed together, so a crash between can skip nothing.
Only one process polls a feed at a time; a turn that was lost shows in the token and the page is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
import structlog

from counterfoil.hub import care, exceptions, meters, receipts, schedule, systems, tracing
from counterfoil.hub.availability import readings
from counterfoil.hub.contract import AGAIN, WHOLE_SYSTEM, Connector, Failure, Feed, Kind, Outcome, Raw
from counterfoil.hub.receipts import ASKED_AT, Arrival
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import at_most
from counterfoil.retail.product import variant_id

log = structlog.get_logger()


async def poll_once(
    store: Store,
    system: str,
    feed: Feed,
    owner: str = "",
    hurry: float | None = None,
    turn: float = schedule.TURN,
) -> int | None:
    """Poll the feed if it is due: how many receipts were new, None if it was not due or not our turn.

    It is due again in its usual time; while the system's webhooks are ill, in `hurry` seconds at the latest.
    A failure of the system is logged and the feed is tried again in its usual time; one that a person must mend
    (misconfigured, bug) is also an exception of this feed, which is over with the next poll that works. The system
    itself is closed only by a reason that stands in every call's way (`WHOLE_SYSTEM`): orders do not stop because
    products may not be read. Raises what the feed or the store raised otherwise.
    """
    token = secrets.token_hex(8)
    cursor = await receipts.begin_poll(store, system, feed.name, token, turn)
    if cursor is None:
        return None
    new = 0
    try:
        async with schedule.renewed(store, system, feed.name, token, turn):
            with meters.timed(meters.POLLS, system, feed.name), tracing.asking("poll", system, feed.name):
                async for raws, moved in _pages(store, system, feed, cursor):
                    arrivals = [Arrival(system, "poll", raw) for raw in raws]
                    kept = await receipts.keep_page(store, system, feed.name, token, arrivals, moved, turn)
                    if kept is None:
                        return new
                    new += kept
                    meters.POLLED.add(system, feed.name, n=kept)
    except Failure as failure:
        await receipts.end_poll(store, system, feed.name, token, feed.every, ok=False)
        log.warning("poll failed", system=system, feed=feed.name, reason=failure.outcome.reason)
        await _note_failure(store, system, feed, failure.outcome, owner)
        return new
    except BaseException as error:
        with contextlib.suppress(Exception):
            await asyncio.shield(receipts.end_poll(store, system, feed.name, token, feed.every, ok=False))
            if not isinstance(error, OSError | sa.exc.SQLAlchemyError) and isinstance(error, Exception):
                await _note_failure(store, system, feed, _broke(feed), owner)
        raise
    again = await _every(store, system, feed, hurry)
    await receipts.end_poll(store, system, feed.name, token, again, ok=True)
    await _note_success(store, system, feed)
    return new


async def _pages(
    store: Store, system: str, feed: Feed, cursor: Mapping[str, Any]
) -> AsyncIterator[tuple[Sequence[Raw], Mapping[str, Any]]]:
    """The feed's receipts and cursors. Readings of stock say when they began, by the store's clock: before their page
    was asked for. What the ERP has accepted of an article since its last reading is read again, changed or not."""
    if feed.kind != "stock":
        async for page in feed.poll(cursor):
            yield page.receipts, page.cursor
        return
    if feed.again and (ids := await _to_be_read(store, system)):
        cursor = {**cursor, AGAIN: ids}
    pages = feed.poll(cursor)
    while True:
        async with store.read() as connection:
            asked_at = {ASKED_AT: repr(await store.clock(connection))}
        try:
            page = await anext(pages)
        except StopAsyncIteration:
            return
        yield [replace(raw, headers={**raw.headers, **asked_at}) for raw in page.receipts], page.cursor


async def _to_be_read(store: Store, system: str) -> list[str]:
    mine = variant_id(system, "")
    async with store.read() as connection:
        articles = await readings.unsettled(connection, store)
    return [article.removeprefix(mine) for article in articles if article.startswith(mine)]


async def _every(store: Store, system: str, feed: Feed, hurry: float | None) -> float:
    if hurry is None or hurry >= feed.every or not await care.is_ill(store, system):
        return feed.every
    return hurry


def _broke(feed: Feed) -> Outcome:
    return Outcome(
        Kind.BUG,
        "poll_failed",
        f"Counterfoil failed at polling {feed.name}; it is tried again. Please report it.",
        traceback.format_exc(),
        "Report it with the technical part below; webhooks are taken meanwhile.",
    )


async def _note_failure(store: Store, system: str, feed: Feed, outcome: Outcome, owner: str) -> None:
    if outcome.kind in (Kind.MISCONFIGURED, Kind.BUG):
        async with store.write() as connection:
            if outcome.kind is Kind.MISCONFIGURED and outcome.reason in WHOLE_SYSTEM:
                await systems.close_system(connection, store, system, outcome)
            await exceptions.open_for_system(connection, store, system, outcome, owner, feed.name)


async def _note_success(store: Store, system: str, feed: Feed) -> None:
    async with store.read() as connection:  # hardly ever there is one: no need to write after every poll
        if not await exceptions.is_open_for(connection, system, feed.name):
            return
    closed = (await systems.closed(store)).get(system)
    async with store.write() as connection:
        # what this poll could have closed it for is over; what an operation did is for an operation to find mended
        if closed is not None and closed.reason in WHOLE_SYSTEM:
            await systems.reopen(connection, store, system)
        await exceptions.close_for_system(connection, store, system, feed.name)


async def run(
    store: Store,
    connectors: Mapping[str, Connector],
    owner: str,
    stop: asyncio.Event,
    hurries: Mapping[str, float | None] | None = None,
    turn: float = schedule.TURN,
) -> None:
    """Poll every feed in its time until `stop`. `hurries` by system, as of `care.hurry`."""
    pace = hurries or {}
    feeds: Sequence[tuple[str, Feed]] = [(name, feed) for name, c in connectors.items() for feed in c.feeds]
    await asyncio.gather(*(_keep_polling(store, name, feed, owner, stop, pace.get(name), turn) for name, feed in feeds))


async def _keep_polling(
    store: Store, system: str, feed: Feed, owner: str, stop: asyncio.Event, hurry: float | None, turn: float
) -> None:
    while not stop.is_set():
        try:
            await poll_once(store, system, feed, owner, hurry, turn)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("store out of reach", error=type(error).__name__)
        except Exception as error:  # one bad page must not end the polling of all others
            log.error("poll broke", system=system, feed=feed.name, error=type(error).__name__, detail=str(error)[:200])
        await at_most(min(feed.every, hurry or feed.every, 5.0), stop)
