"""Money that waits to be matched: what storefronts told of and the ERP has not booked yet, item by item.

An item is a payment that a storefront says it has received, or a refund that it has paid out. It waits from the moment
a flow is to have it booked (`BOOKING`) until that is done, whatever comes between: its turn, a retry, a lane that is
held, an open exception. What a person closed as put right or as not wanted waits no more, nor does the payment of an
order that was given up before the ERP had it, nor a refund of which reading it said that it is not paid out. Of a
payment that was booked and has grown since, the rest waits. Where the history of an order's booking has been purged,
its payments count as booked.

Amounts are exact and in the order's currency; they are never added up over currencies. What nothing reads yet is not
here: bank statements and payouts of payment providers, and so whether money that is booked has arrived.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.contract import NOT_PAID_OUT
from counterfoil.hub.schema import HELD, delivery, delivery_log, event, exception, lane, link, object_
from counterfoil.hub.store import Store
from counterfoil.hub.views.cached import shared
from counterfoil.retail.events import at_utc
from counterfoil.retail.money import Money, total
from counterfoil.retail.order import Status

KINDS = PAYMENT, REFUND = "payment", "refund"
BOOKING: Mapping[str, str] = {
    "accept_order": PAYMENT,
    "amend_order": PAYMENT,
    "read_refunds": REFUND,
    "refund_order": REFUND,
}
"""The operations that lead to a booking, and what they book. Reading refunds comes before it and books nothing."""
_ENDED = ("done", "resolved", "skipped")
_UNPAID = ("refund_pending", "refund_failed")
WAITING, RETRIED, IS_HELD, EXCEPTION = "waiting", "retried", "held", "exception"
_WORST = (WAITING, RETRIED, IS_HELD, EXCEPTION)

MOST = 20_000
"""Deliveries and exceptions looked at, those that wait longest; where there are more, the sums say `at_least`."""
CHUNK = 500
"""Orders asked for at once, so that others get their turn between."""
KEEP, SHARE = 5.0, 0.01
"""Seconds for which the answer is shared; with thousands that wait so long that so much of all time goes into it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One payment or refund, or what is left of it to be booked; a row of the list and of its files.

    `order` is its canonical id, `reference` the payment provider's, or the refund's own id. `made_at` is when the
    storefront says it was made, `since` is from when on it waits here; both UTC. `state`: `waiting` for its turn,
    `retried`, before a person itself (`exception`), or `held` behind what is; `exception` is the number of that one.
    """

    order: str
    number: str
    kind: str
    amount: Decimal
    currency: str
    method: str
    reference: str
    made_at: datetime | None
    since: datetime
    operation: str
    state: str
    exception: int | None


@dataclass(frozen=True, slots=True)
class Sum:
    """All that waits of one kind in one currency; `oldest` is the longest wait, in seconds."""

    currency: str
    kind: str
    count: int
    amount: Decimal
    oldest: float
    at_least: bool
    address: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, the longest wait first."""

    at: datetime
    sums: tuple[Sum, ...]
    items: tuple[Item, ...]


async def waiting(store: Store) -> Waiting:
    """How it stands, as all who look are told it for some seconds."""
    return await shared(store, "money", lambda: _look(store), KEEP, SHARE)


def chosen(found: Waiting, kind: str = "", currency: str = "") -> tuple[Item, ...]:
    """The items of this kind and currency, in capitals or not; empty: of all."""
    return tuple(each for each in found.items if kind in ("", each.kind) and currency.upper() in ("", each.currency))


async def _look(store: Store) -> Waiting:
    """What takes its time with thousands of them happens beside the event loop."""
    async with store.read() as connection:
        now = await store.clock(connection)
        before_people = (await connection.execute(_before_people())).all()
        queued = (await connection.execute(_queued())).all()
        work = await asyncio.to_thread(_work, before_people, queued)
        subjects, items = sorted(work), list[Item]()
        for start in range(0, len(subjects), CHUNK):
            some = subjects[start : start + CHUNK]
            states = await _states(connection, store, some)
            pasts = await _pasts(connection, store, some)
            items += await asyncio.to_thread(_items, states, pasts, work)
    cut = MOST in (len(before_people), len(queued))
    return await asyncio.to_thread(_summed, items, now, cut)


# --- what is to be booked ---------------------------------------------------------------------------------------------


class _Work(NamedTuple):
    """What is to book an order's payments, or its refunds."""

    since: float
    operation: str
    state: str
    exception: int | None = None


def _queued() -> sa.Select[Any]:
    d = delivery.c
    here = sa.and_(lane.c.system == d.system, lane.c.stream == d.stream, lane.c.key == d.key)
    wanted = sa.select(d.subject, d.system, d.operation, d.created_at, d.attempt, lane.c.due_at).join(lane, here)
    return wanted.where(d.operation.in_(BOOKING)).order_by(d.created_at, d.id).limit(MOST)


def _before_people() -> sa.Select[Any]:
    x = exception.c
    wanted = sa.select(x.id, x.subject, x.system, x.operation, x.created_at, x.held)
    mine = (x.status == "open", sa.or_(x.operation.in_(BOOKING), x.held))
    return wanted.where(*mine).order_by(x.opened_at, x.id).limit(MOST)


def _work(before_people: Iterable[Any], queued: Iterable[Any]) -> dict[str, dict[str, _Work]]:
    """By order and kind what is unfinished."""
    found: defaultdict[str, dict[str, _Work]] = defaultdict(dict)
    held: dict[tuple[str, str], int] = {}
    for row in before_people:
        if row.held:
            held[row.subject, row.system] = row.id
        if row.operation in BOOKING:
            work = _Work(row.created_at, f"{row.system}.{row.operation}", EXCEPTION, row.id)
            _add(found[row.subject], BOOKING[row.operation], work)
    for row in queued:
        state = IS_HELD if row.due_at >= HELD else RETRIED if row.attempt else WAITING
        number = held.get((row.subject, row.system)) if state == IS_HELD else None
        work = _Work(row.created_at, f"{row.system}.{row.operation}", state, number)
        _add(found[row.subject], BOOKING[row.operation], work)
    return found


def _add(found: dict[str, _Work], kind: str, work: _Work) -> None:
    """As long as the first of them waits, in the state of the worst."""
    if (other := found.get(kind)) is None:
        found[kind] = work
        return
    worst = max(other, work, key=lambda each: (_WORST.index(each.state), -each.since))
    found[kind] = worst._replace(since=min(other.since, work.since))


# --- what orders tell -------------------------------------------------------------------------------------------------

Told = Mapping[str, Mapping[str, Any]]
"""Payments or refunds as an order has them, by what tells them apart in the ERP."""


def payments(listed: Iterable[Mapping[str, Any]] | None) -> Told:
    """Those that were received, by their place in the order."""
    return {str(place): each for place, each in enumerate(listed or ()) if each.get("paid_at")}


def refunds(listed: Iterable[Mapping[str, Any]] | None) -> Told:
    """Those that were paid out, by their id."""
    return {str(each["id"]): each for each in listed or () if not each.get("pending")}


def left(told: Mapping[str, Money], booked: Mapping[str, Money]) -> dict[str, Money]:
    """What is not booked of what was told; what was booked beyond it (an amount that was corrected) is no money."""
    found = {}
    for name, amount in told.items():
        was = booked.get(name)
        rest = amount - was if was is not None and was.currency == amount.currency else amount
        if rest.amount > 0:
            found[name] = rest
    return found


def _amounts(told: Told) -> dict[str, Money]:
    return {name: Money.parse(each["amount"]) for name, each in told.items()}


_READ = {PAYMENT: payments, REFUND: refunds}
_GIVEN_UP = frozenset({Status.CANCELLED, Status.TRASH, Status.DRAFT})


def _items(
    states: Mapping[str, _State], pasts: Mapping[str, _Past], work: Mapping[str, Mapping[str, _Work]]
) -> list[Item]:
    return [item for s, state in states.items() for item in _of_order(s, state, pasts[s], work[s])]


def _of_order(subject: str, state: _State, past: _Past, work: Mapping[str, _Work]) -> Iterator[Item]:
    for kind, unfinished in work.items():
        if kind == PAYMENT and state.status in _GIVEN_UP:
            continue
        told = _READ[kind](state.payments if kind == PAYMENT else state.refunds)
        amounts = _amounts(told)
        for name, amount in left(amounts, _matched(kind, amounts, past, unfinished.since)).items():
            made = told[name].get("paid_at") or told[name].get("refunded_at")
            yield Item(
                order=subject,
                number=state.number or subject,
                kind=kind,
                amount=amount.amount,
                currency=amount.currency,
                method=str(told[name].get("method") or ""),
                reference=name if kind == REFUND else str(told[name].get("reference") or ""),
                made_at=datetime.fromisoformat(made) if made else None,
                since=at_utc(unfinished.since),
                operation=unfinished.operation,
                state=unfinished.state,
                exception=unfinished.exception,
            )


def _matched(kind: str, told: Mapping[str, Money], past: _Past, since: float) -> Mapping[str, Money]:
    """What is booked of what was told, put right by a person, or not paid out after all."""
    found: dict[str, Money] = {}
    unpaid: Sequence[str] = ()
    kept = False
    for done in past.ended:
        if BOOKING[done.operation] != kind:
            continue
        if done.outcome not in _ENDED:
            unpaid = done.said or ()
        elif done.operation == "read_refunds" and done.outcome == "done":
            unpaid = ()
        elif past.linked_at is not None or done.outcome != "done":
            kept = True
            if done.dropped is None:
                found |= _amounts(_READ[kind](done.said))
    if kind == PAYMENT and not kept and past.linked_at is not None and past.linked_at < since:
        return told  # the ERP had it before this work: what it booked then is known no more
    return found | {name: told[name] for name in unpaid if name in told}


class _Past(NamedTuple):
    """From when on the ERP has an order, if it does, and how what books it ended, oldest first."""

    linked_at: float | None
    ended: Sequence[Any]


class _State(NamedTuple):
    """What is needed of an order."""

    number: str
    status: str
    payments: list[Mapping[str, Any]] | None
    refunds: list[Mapping[str, Any]] | None


async def _states(connection: AsyncConnection, store: Store, subjects: Sequence[str]) -> dict[str, _State]:
    """The newest that is known of these orders where they come from; each state is parsed once, which is what costs."""
    o = object_.c
    parts: sa.ColumnElement[Any]
    if store.is_sqlite:
        parts = sa.func.json_extract(o.state, *(f"$.{name}" for name in _State._fields), type_=sa.JSON)
    else:
        columns = [sa.column(name, sa.JSON) for name in _State._fields]
        record = sa.func.json_to_record(o.state).table_valued(*columns).render_derived(with_types=True).lateral()
        parts = sa.select(sa.func.json_build_array(*record.c, type_=sa.JSON)).scalar_subquery()
    mine = (
        store.any_of(o.canonical_id, "ids"),
        o.kind == "order",
        o.system + ":order:" + o.object_id == o.canonical_id,
    )
    rows = await connection.execute(sa.select(o.canonical_id, parts).where(*mine), {"ids": store.listed(subjects)})
    return {subject: _State(*found) for subject, found in rows}


async def _pasts(connection: AsyncConnection, store: Store, subjects: Sequence[str]) -> dict[str, _Past]:
    """What has been done of these orders until now."""
    ids = {"ids": store.listed(subjects)}
    known = sa.select(link.c.canonical_id, link.c.system, link.c.since).where(store.any_of(link.c.canonical_id, "ids"))
    rows = await connection.execute(known, ids)
    linked = {r.canonical_id: r.since for r in rows if not r.canonical_id.startswith(f"{r.system}:")}
    log, data = delivery_log.c, event.c.data
    dropped = log.detail["result"]["superseded"].as_string()  # done with, as the order was given up: nothing is booked
    said = sa.case(  # what was told of it; of what came to nothing, what is not paid out
        (log.outcome.not_in(_ENDED), log.detail["result", NOT_PAID_OUT]),
        (log.operation == "refund_order", data["refunds"]),
        (log.operation == "read_refunds", data["order", "refunds"]),
        else_=data["order", "payments"],
    )
    columns = (log.subject, log.operation, log.outcome)
    done = (
        sa.select(*columns, dropped.label("dropped"), said.label("said"))
        .join(event, event.c.id == log.event_id)
        .where(store.any_of(log.subject, "ids"), log.operation.in_(BOOKING), log.reason != "superseded")
        .where(sa.or_(log.outcome.in_(_ENDED), log.reason.in_(_UNPAID)))
        .order_by(log.id)
    )
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in await connection.execute(done, ids):
        found[row.subject].append(row)
    return {subject: _Past(linked.get(subject), found[subject]) for subject in subjects}


def _summed(items: Iterable[Item], now: float, cut: bool) -> Waiting:
    in_order = sorted(items, key=lambda each: (each.since, each.order, each.kind, each.reference))
    return Waiting(at_utc(now), tuple(_sums(in_order, now, cut)), tuple(in_order))


def _sums(items: Iterable[Item], now: float, cut: bool) -> Iterator[Sum]:
    alike: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
    for each in items:
        alike[each.currency, each.kind].append(each)
    for (currency, kind), those in sorted(alike.items()):
        amount = total((Money(each.amount, currency) for each in those), currency).amount
        oldest = max(0.0, now - min(each.since.timestamp() for each in those))
        address = f"money?{urlencode({'kind': kind, 'currency': currency})}"
        yield Sum(currency, kind, len(those), amount, oldest, cut, address)
