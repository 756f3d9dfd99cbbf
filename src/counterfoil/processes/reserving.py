"""The desk that holds stock for shoppers: requests that wait at the same time are decided in one transaction.

What is decided is in holding.py. One transaction locks reservations, then the rows of stock in the order of their
articles; so any number of processes on one PostgreSQL hold from the same stock, and no unit twice (F19, F20). A request
with a key is answered once: the answer is kept in the transaction that does what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import exceptions
from counterfoil.hub.availability import reservations, stock
from counterfoil.hub.availability.reservations import Reservation, State
from counterfoil.hub.contract import rejected
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import answers
from counterfoil.hub.waiting import repeat
from counterfoil.processes.holding import (
    Act,
    Change,
    Confirm,
    Extend,
    Hold,
    KeyReused,
    NotDone,
    Offer,
    Release,
    Shelf,
    Short,
    changed,
    checked,
    parts_of,
)

HOLD_SECONDS = 900.0
ORDER_SECONDS = 86400.0
EVERY = 2.0
"""Seconds between two looks for reservations whose time is over."""
BATCH = 100
"""Requests decided in one transaction, and reservations given back in one."""
TRIES = 10
_AGAIN = ("40P01", "40001", "23505")
"""PostgreSQL's deadlock_detected, serialization_failure and unique_violation: another process was in between."""
WITHOUT_ORDER = "reservation_without_order"

Done = Reservation | Short


@dataclass(frozen=True, slots=True)
class _Request:
    act: Act
    key: str
    done: asyncio.Future[Done]

    @property
    def scope(self) -> str:
        return f"{self.act.channel}.{type(self.act).__name__.lower()}"

    @property
    def digest(self) -> str:
        return answers.digest_of([getattr(self.act, name) for name in self.act.__slots__])


class Desk:
    """Holds, extends, confirms and releases; each returns once that is committed.

    `usual`: seconds a hold lasts that says nothing of it. `order_within`: seconds within which the order of a confirmed
    reservation must come, or the reservation is given back and put before `owner`. All raise NotDone, ValueError, and
    what the store raised.
    """

    def __init__(
        self,
        store: Store,
        offer: Offer,
        usual: float = HOLD_SECONDS,
        order_within: float = ORDER_SECONDS,
        owner: str = "",
    ) -> None:
        self.store, self.offer, self.usual, self.order_within, self.owner = store, offer, usual, order_within, owner
        self._waiting: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    async def hold(
        self,
        channel: str,
        lines: Sequence[tuple[str, int]],
        seconds: float | None = None,
        *,
        place: str = "",
        key: str = "",
    ) -> Done:
        """Hold the lines (SKU, thousandths), all or nothing; `place`: only from there, as for a pick-up."""
        lasts = self.usual if seconds is None else seconds
        return await self._ask(Hold(channel, tuple((sku, units) for sku, units in lines), lasts, place), key)

    async def extend(self, channel: str, id_: str, seconds: float | None = None, *, key: str = "") -> Reservation:
        """Hold it for so many seconds from now."""
        return await self._change(Extend(channel, id_, self.usual if seconds is None else seconds), key)

    async def confirm(self, channel: str, id_: str, order_number: str, *, key: str = "") -> Reservation:
        """The shop places this order now; when it is here, it holds the units instead."""
        return await self._change(Confirm(channel, id_, order_number), key)

    async def release(self, channel: str, id_: str, *, key: str = "") -> Reservation:
        """Give it back; one that has ended already stays as it is."""
        return await self._change(Release(channel, id_), key)

    async def get(self, channel: str, id_: str) -> Reservation | None:
        """As it stands; None where this channel has none of that id."""
        found = await reservations.get(self.store, id_)
        return found if found is not None and found.channel == channel else None

    async def _change(self, change: Change, key: str) -> Reservation:
        done = await self._ask(change, key)
        assert isinstance(done, Reservation)
        return done

    async def _ask(self, act: Act, key: str) -> Done:
        request = _Request(checked(act, key), key, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await request.done

    # --- many requests, one commit ----------------------------------------------------------------------------------

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                await self._settle(batch)
            except BaseException as error:
                _answer(batch, [error if isinstance(error, Exception) else RuntimeError("stopping")] * len(batch))
                if not isinstance(error, Exception):
                    raise

    async def _settle(self, batch: list[_Request]) -> None:
        """Decide and answer. What is short is decided once more if anything was to be given back."""
        done = await self._decided(batch)
        short = [request for request, each in zip(batch, done, strict=True) if isinstance(each, Short)]
        if short and await self.give_back_due():
            _answer(batch, [None if isinstance(each, Short) else each for each in done])
            batch, done = short, await self._decided(short)
        _answer(batch, done)

    async def _decided(self, batch: list[_Request]) -> list[Done | Exception]:
        for left in reversed(range(TRIES)):
            try:
                async with self.store.write() as connection:
                    return await self._decide(connection, batch)
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", "") not in _AGAIN or not left:
                    raise
                await asyncio.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - not for secrets
        raise AssertionError("no try left")

    async def _decide(self, connection: AsyncConnection, batch: list[_Request]) -> list[Done | Exception]:
        """One transaction: what each request comes to, in the order of `batch`, written."""
        known = await answers.given(connection, self.store, [(r.scope, r.key) for r in batch if r.key])
        books = _Books(self, await self.store.clock(connection))
        results: list[Done | Exception | None] = [_as_before(known.get((r.scope, r.key)), r) for r in batch]
        fresh = [number for number, result in enumerate(results) if result is None]
        first = {(batch[n].scope, batch[n].key or n): n for n in reversed(fresh)}  # the same key twice at once: one act
        todo = [n for n in fresh if first[(batch[n].scope, batch[n].key or n)] == n]
        acts = {n: batch[n].act for n in todo}
        await books.begin(connection, acts.values())
        await books.change(connection, {n: act for n, act in acts.items() if not isinstance(act, Hold)})
        await books.hold(connection, {n: act for n, act in acts.items() if isinstance(act, Hold)})
        await reservations.keep(connection, self.store, books.written.values())
        new = []
        for number in todo:
            results[number] = done = books.results[number]
            request = batch[number]
            if request.key and isinstance(done, Reservation):  # what was not done may be tried again
                body = reservations.as_row(done)
                new.append(answers.Answer(request.scope, request.key, request.digest, 200, body))
        await answers.keep(connection, self.store, new)
        for number in fresh:
            if number not in acts:
                same = first[(batch[number].scope, batch[number].key)]
                reused = batch[same].digest != batch[number].digest
                results[number] = KeyReused("another request has this key") if reused else results[same]
        return [result for result in results if result is not None]

    # --- what is over -----------------------------------------------------------------------------------------------

    async def give_back_due(self) -> int:
        """Give back what was held past its time; how many reservations. Raises what the store raised."""
        count = 0
        while True:
            async with self.store.read() as connection:  # on SQLite nobody waits for a look that finds nothing
                if not await reservations.due(connection, self.store, 1, lock=False):
                    return count
            async with self.store.write() as connection:
                over = await reservations.due(connection, self.store, BATCH)
                await self._give_back(connection, over)
            if not over:
                return count  # another process has them in hand
            count += len(over)

    async def _give_back(self, connection: AsyncConnection, over: Sequence[Reservation]) -> None:
        confirmed = {(each.channel, each.order_number) for each in over if each.state is State.CONFIRMED}
        here = await reservations.orders_known(connection, self.store, confirmed)
        now = await self.store.clock(connection)
        ended = []
        for each in over:
            state = State.ORDERED if (each.channel, each.order_number) in here else State.EXPIRED
            ended.append(replace(each, state=state, ended_at=now))
        await stock.give_back(connection, self.store, [each.id for each in over])
        await reservations.keep(connection, self.store, ended)
        missing = [e for e, was in zip(ended, over, strict=True) if was.order_number and e.state is State.EXPIRED]
        if missing:
            await exceptions.open_for_promises(connection, self.store, [_missing(each, self.owner) for each in missing])

    async def run(self, stop: asyncio.Event) -> None:
        """Give back what is over, every so many seconds, until `stop`."""
        await repeat(self.give_back_due, EVERY, stop, "reservations not given back")


class _Books:
    """The work of one transaction: results by request, and the reservations to be written."""

    def __init__(self, desk: Desk, now: float) -> None:
        self.desk, self.store, self.now = desk, desk.store, now
        self.results: dict[int, Done | Exception] = {}
        self.written: dict[str, Reservation] = {}
        self._known: dict[str, Reservation] = {}
        self._articles: dict[str, str] = {}
        self._rows: dict[str, stock.Row] = {}

    async def begin(self, connection: AsyncConnection, acts: Collection[Act]) -> None:
        """Lock all that the acts are about: reservations, then articles in sorted order."""
        ids = [act.id for act in acts if not isinstance(act, Hold)]
        self._known = await reservations.locked(connection, self.store, ids)
        held = {taking.article for taking in await stock.takings(connection, self.store, self._known)}
        parts = parts_of((act for act in acts if isinstance(act, Hold)), self.desk.offer.rules.bundles)
        self._articles = await stock.by_sku(connection, parts)
        self._rows = await stock.locked(connection, self.store, {*held, *self._articles.values()})

    async def change(self, connection: AsyncConnection, acts: Mapping[int, Change]) -> None:
        """Extend, confirm, release; what has ended gives its units back.

        Whether an order is here is asked under the locks of the articles: it came before, or finds the confirmation.
        """
        confirmed = {(act.channel, act.order_number) for act in acts.values() if isinstance(act, Confirm)}
        here = await reservations.orders_known(connection, self.store, confirmed)
        before = dict(self._known)
        for number, act in acts.items():
            is_here = isinstance(act, Confirm) and (act.channel, act.order_number) in here
            try:
                after = changed(act, self._known.get(act.id), self.now, self.desk.order_within, is_here)
            except NotDone as refused:
                self.results[number] = refused
                continue
            self.results[number] = self._known[act.id] = self.written[act.id] = after
        over = [id_ for id_, was in before.items() if was.holds and not self._known[id_].holds]
        if over:
            self._rows |= await stock.give_back(connection, self.store, over)

    async def hold(self, connection: AsyncConnection, acts: Mapping[int, Hold]) -> None:
        """Hold, one after another in the order they came, from what is there after all that was given back."""
        shelf = Shelf(self._rows, self._articles, self.desk.offer)
        takings: list[stock.Taking] = []
        for number, act in acts.items():
            id_ = secrets.token_hex(12)
            taken = shelf.hold(id_, act)
            if isinstance(taken, Short):
                self.results[number] = taken
                continue
            takings += taken
            until = self.now + act.seconds
            held = Reservation(id_, act.channel, State.HELD, act.lines, "", self.now, until)
            self.results[number] = self.written[id_] = held
        await stock.take(connection, self.store, self._rows, takings)


def _as_before(answer: answers.Answer | None, request: _Request) -> Done | Exception | None:
    if answer is None:
        return None
    if answer.digest != request.digest:
        return KeyReused("another request has this key")
    return reservations.as_reservation([answer.body[name] for name in reservations.COLUMNS])


def _answer(batch: Sequence[_Request], done: Sequence[Done | Exception | None]) -> None:
    for request, each in zip(batch, done, strict=True):
        with contextlib.suppress(asyncio.InvalidStateError):
            if isinstance(each, Exception):
                request.done.set_exception(each)
            elif each is not None:
                request.done.set_result(each)


def _missing(reservation: Reservation, owner: str) -> tuple[str, str, float, Any, str]:
    """A confirmed reservation whose order never came, in words."""
    what = rejected(
        WITHOUT_ORDER,
        f"{reservation.channel} confirmed a reservation for order {reservation.order_number}, and that order never "
        "came. Its units were given back and are sold to others.",
        f"Look for order {reservation.order_number} in {reservation.channel}: if it is there, its webhook and its poll "
        "were both missed; if it is not, its checkout failed after the confirmation, and nothing is to be done.",
        f"reservation {reservation.id}, made at {reservation.made_at:.3f}, of {len(reservation.lines)} line(s)",
    )
    return "order", f"{reservation.channel}:reservation:{reservation.id}", reservation.expires_at, what, owner
