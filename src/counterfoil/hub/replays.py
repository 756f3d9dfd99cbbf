"""Replays as jobs: begun once, carried out a chunk at a time by whoever has the lease, and gone on with after a break.

The place of a job moves in the transaction that queues its deliveries, so nothing is left out, whoever dies when. A
running hub takes up what nobody works on. A person can stop one, and let it go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint
from counterfoil.hub import lanes, replay
from counterfoil.hub.access import audit
from counterfoil.hub.replay import Choice, Plan
from counterfoil.hub.schema import replay as table
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat
from counterfoil.retail.events import at_utc

log = structlog.get_logger()

RUNNING, STOPPED, DONE, FAILED = "running", "stopped", "done", "failed"
_LOCK = 727003
"""On PostgreSQL one at a time looks whether there is a job already, and begins it, or goes on with it."""
LEASE = 30.0
"""Seconds after its last sign of life for which a process keeps its job."""
LOOK = 1.0
"""Seconds between two looks at a job that has to wait for its rate, or that another process works on."""
EVERY = 2.0
"""Seconds between two looks whether there is a job that nobody works on."""


class NoSuchReplay(LookupError):
    """There is no replay of this number."""


@dataclass(frozen=True, slots=True)
class Job:
    """A replay: what, by whom, and how far. Times are seconds since the epoch, the rate is deliveries a second.

    `state`: running, stopped (by `ended_by`), done, or failed for the `trouble` said. `events` and `deliveries` count
    from its beginning, also over a break; `planned` is what the dry run found. `worked_on`: a process has it in hand.
    """

    number: int
    choice: Choice
    rate: float
    state: str
    who: str
    began_at: float
    planned_events: int
    planned_deliveries: int
    events: int
    deliveries: int
    ended_at: float | None
    ended_by: str
    trouble: str
    worked_on: bool

    @property
    def expected(self) -> int:
        """Deliveries there will have been at the end, as far as is known."""
        return self.deliveries if self.state == DONE else max(self.deliveries, self.planned_deliveries)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**said, "choice": self.choice.as_dict()}


async def begin(store: Store, choice: Choice, planned: Plan, who: str, rate: float = 0.0, anew: bool = False) -> int:
    """Have it done, at most `rate` a second (0: at once); the number of the job.

    One of the same choice that is under way or was stopped is gone on with, unless `anew`. The end of the time range is
    fixed when it begins: what happens meanwhile is not its business.
    """
    async with store.write() as connection:
        await _one_at_a_time(connection, store)
        last = (
            sa.select(table.c.id, table.c.state, table.c.rate)
            .where(table.c.name == choice.name)
            .order_by(sa.case((table.c.state == RUNNING, 0), else_=1), table.c.id.desc())
        )
        known = (await connection.execute(last.limit(1))).first()
        if known is not None and known.state in (RUNNING, STOPPED):
            mine = table.c.id == known.id
            if not anew:
                going = {"state": RUNNING, "rate": rate, "due_at": store.now, "ended_at": None, "ended_by": ""}
                await connection.execute(sa.update(table).where(mine).values(going))
                if (known.state, known.rate) != (RUNNING, rate):
                    await audit.note(connection, store, who, "replay.go_on", f"replay:{known.id}", {"rate": rate})
                return int(known.id)
            over = {"state": STOPPED, "ended_at": store.now, "ended_by": who}
            ended = await connection.execute(sa.update(table).where(mine, table.c.state == RUNNING).values(over))
            if ended.rowcount:
                await audit.note(connection, store, who, "replay.stop", f"replay:{known.id}")
        now = await store.clock(connection)
        row = {"name": choice.name, "choice": choice.as_dict(), "rate": rate, "state": RUNNING, "who": who}
        row |= {"began_at": now, "until": choice.until.timestamp() if choice.until else now}
        row |= {"planned": {"events": planned.events, "deliveries": planned.deliveries}}
        row |= {"at": 0.0, "event_id": "", "events": 0, "deliveries": 0, "due_at": now, "lease_until": 0.0}
        row |= {"ended_by": "", "trouble": ""}
        number = int((await connection.execute(sa.insert(table).values(row).returning(table.c.id))).scalar_one())
        await audit.note(
            connection, store, who, "replay", choice.subject, {"number": number, "rate": rate, **choice.as_dict()}
        )
        return number


async def _one_at_a_time(connection: AsyncConnection, store: Store) -> None:
    if not store.is_sqlite:  # there the write lock does it
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def listing(store: Store, limit: int = 20) -> list[Job]:
    """The jobs, newest first."""
    async with store.read() as connection:
        now = await store.clock(connection)
        rows = await connection.execute(sa.select(table).order_by(table.c.id.desc()).limit(limit))
        return [_job(row, now) for row in rows]


async def get(store: Store, number: int) -> Job:
    """One. Raises NoSuchReplay."""
    async with store.read() as connection:
        now = await store.clock(connection)
        row = (await connection.execute(sa.select(table).where(table.c.id == number))).first()
    if row is None:
        raise NoSuchReplay(f"There is no replay {number}.")
    return _job(row, now)


async def stop(store: Store, number: int, who: str) -> bool:
    """Queue nothing more of it; what is queued by now is carried out. False: it is not running."""
    over = {"state": STOPPED, "ended_at": store.now, "ended_by": who}
    return await _turn(store, number, who, "replay.stop", (RUNNING,), over)


async def go_on(store: Store, number: int, who: str) -> bool:
    """Go on where it was. False: it was neither stopped nor did it fail, or another of the same choice is running."""
    other = table.alias().c
    alone = ~sa.exists().where(other.name == table.c.name, other.state == RUNNING)
    going = {"state": RUNNING, "due_at": store.now, "ended_at": None, "ended_by": "", "trouble": ""}
    return await _turn(store, number, who, "replay.go_on", (STOPPED, FAILED), going, alone)


async def _turn(
    store: Store,
    number: int,
    who: str,
    act: str,
    of: tuple[str, ...],
    values: Mapping[str, Any],
    *also: sa.ColumnElement[bool],
) -> bool:
    async with store.write() as connection:
        await _one_at_a_time(connection, store)
        mine = (table.c.id == number, table.c.state.in_(of), *also)
        turned = await connection.execute(sa.update(table).where(*mine).values(**values))
        if turned.rowcount:
            await audit.note(connection, store, who, act, f"replay:{number}")
        return bool(turned.rowcount)


async def carry_out(
    store: Store,
    blueprint: Blueprint,
    streams: Mapping[str, str],
    number: int,
    progress: Callable[[Job], None] = lambda _job: None,
    who: str = "",
) -> Job:
    """Work on it until it is over, or see to the end what another process does; how it ended.

    Whoever is cut off here has stopped it; the store out of reach has not. Raises what the store raised.
    """
    try:
        while (job := await _work(store, blueprint, streams, number, progress)).state == RUNNING:
            progress(job)
            await asyncio.sleep(LOOK)
        return job
    except (asyncio.CancelledError, KeyboardInterrupt):
        await asyncio.shield(stop(store, number, who))
        raise


async def run(store: Store, blueprint: Blueprint, streams: Mapping[str, str], end: asyncio.Event) -> None:
    """Take up what nobody works on until `end`, each beside the others: neither one that is slow nor one that breaks
    keeps another waiting."""
    working: dict[int, asyncio.Task[None]] = {}

    async def work(number: int) -> None:
        try:
            job = await _work(store, blueprint, streams, number)
            log.info("replay", number=number, state=job.state, deliveries=job.deliveries)
        except Exception as error:  # mostly that the store is out of reach: the next look takes it up again
            log.error("cannot replay", number=number, error=type(error).__name__, detail=str(error)[:200])
        finally:
            del working[number]

    async def look() -> None:
        free = (table.c.state == RUNNING, table.c.lease_until < store.now)
        async with store.read() as connection:
            numbers = (await connection.execute(sa.select(table.c.id).where(*free).order_by(table.c.id))).scalars()
        for number in numbers:
            if number not in working:
                working[number] = asyncio.create_task(work(number))

    try:
        await repeat(look, EVERY, end, "cannot replay")
    finally:
        for task in (left := list(working.values())):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _work(
    store: Store,
    blueprint: Blueprint,
    streams: Mapping[str, str],
    number: int,
    progress: Callable[[Job], None] = lambda _job: None,
) -> Job:
    """Chunk after chunk until it is over or in another's hand."""
    token = secrets.token_hex(8)
    try:
        while (wait := await _step(store, blueprint, streams, number, token)) is not None:
            progress(await get(store, number))
            await asyncio.sleep(min(wait, LOOK))
    except (OSError, sa.exc.SQLAlchemyError):
        raise
    except Exception as error:  # would break again: a person has to look
        last = traceback.extract_tb(error.__traceback__)[-1]
        trouble = f"{type(error).__name__} in {last.filename.rpartition('/')[2]}:{last.lineno}"
        log.error("replay failed", number=number, trouble=trouble)
        failed = {"state": FAILED, "ended_at": store.now, "trouble": trouble}
        await _turn(store, number, "", "replay.failed", (RUNNING,), failed)
    finally:
        with contextlib.suppress(OSError, sa.exc.SQLAlchemyError):  # then the lease runs out
            await asyncio.shield(_give_back(store, number, token))
    return await get(store, number)


async def _step(
    store: Store, blueprint: Blueprint, streams: Mapping[str, str], number: int, token: str
) -> float | None:
    """The next chunk, if it is its time; seconds until the one after it. None: nothing more is to be done here."""
    async with store.write() as connection:
        free = sa.or_(table.c.token.is_(None), table.c.token == token, table.c.lease_until < store.now)
        mine = (table.c.id == number, table.c.state == RUNNING, free)
        leased = {"token": token, "lease_until": store.now + LEASE}
        row = (await connection.execute(sa.update(table).where(*mine).values(leased).returning(table))).first()
        if row is None:
            return None
        now = await store.clock(connection)
        if row.due_at > now:
            return float(row.due_at - now)
        values = await _chunk(connection, store, blueprint, streams, row)
        if values is None:
            values = {"state": DONE, "ended_at": now}
        elif row.rate > 0:  # after a break it does not catch up by more than a second's worth
            values["due_at"] = max(row.due_at, now - 1.0) + (values["deliveries"] - row.deliveries) / row.rate
        await connection.execute(sa.update(table).where(table.c.id == number).values(**values))
        return None if "state" in values else max(0.0, values.get("due_at", now) - now)


async def _chunk(
    connection: AsyncConnection, store: Store, blueprint: Blueprint, streams: Mapping[str, str], row: Any
) -> dict[str, Any] | None:
    """Queue the deliveries of the next events; how far it is then. None: there are no more."""
    choice = dataclasses.replace(Choice.read(row.choice), until=at_utc(row.until))
    size = replay.CHUNK if row.rate <= 0 else max(1, min(replay.CHUNK, int(row.rate)))
    rows = await replay.following(connection, choice, (row.at, row.event_id), size, keep=True)
    if not rows:
        return None
    new, _ = await replay.due(connection, blueprint, streams, choice, rows)
    await lanes.enqueue(connection, store, new)
    found: dict[str, Any] = {"at": rows[-1].recorded_at, "event_id": rows[-1].id}
    found |= {"events": row.events + len({d.event_id for d in new}), "deliveries": row.deliveries + len(new)}
    return found


async def _give_back(store: Store, number: int, token: str) -> None:
    async with store.write() as connection:
        mine = (table.c.id == number, table.c.token == token)
        await connection.execute(sa.update(table).where(*mine).values(token=None, lease_until=0.0))


def _job(row: Any, now: float) -> Job:
    return Job(
        *(row.id, Choice.read(row.choice), row.rate, row.state, row.who, row.began_at),
        *(row.planned["events"], row.planned["deliveries"], row.events, row.deliveries),
        *(row.ended_at, row.ended_by, row.trouble, row.token is not None and row.lease_until > now),
    )
