"""Trials at home: decided by customers, by the end of their time or by a person, and settled once.

A decision is an event and nothing else; what goes back is a request for a return like any other. Whatever happens to
the order, the trial is looked at soon afterwards, so that what came back without a word counts too.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.model import HUB
from counterfoil.blueprint.trials import DECIDED, OVERDUE, SETTLED
from counterfoil.hub import records
from counterfoil.hub.access import audit
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import looking, requested, shoporders, trials
from counterfoil.hub.storefront.trials import ASKED, CLOSED, OPEN, Row
from counterfoil.hub.telling import Teller
from counterfoil.hub.waiting import at_most
from counterfoil.processes.returning import AnotherRequest, TooMany, asked_back, keeps_of, requests_of
from counterfoil.processes.returns import Request
from counterfoil.processes.trials import Charge, Tried, Units, Verdict, charge, left_at, tried, verdict
from counterfoil.retail.events import Event, at_utc, event_id
from counterfoil.retail.fulfilment import Fulfilment
from counterfoil.retail.money import Money
from counterfoil.retail.order import Order

log = structlog.get_logger()

BEGINS = "order.placed"
READ = (("fulfilment", "fulfilment"), ("orders", "order"))
"""(feed, kind) of what is read of an order, at the ERP and at its shop."""
CARE_EVERY = 5.0
"""Seconds between two looks at trials that may go on."""
AT_ONCE = 200
REASON = "trial"
"""Of the returns that trials ask for."""
BY_CUSTOMER, BY_TIME, BY_PERSON = "customer", "time_over", "person"


class NoTrial(LookupError):
    """The order is not sent on trial."""


class Over(ValueError):
    """The trial's time is over, or it is settled: nothing is decided of it any more."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a trial stands: each line of which something was shipped, until when is decided, what was charged or, where
    nothing was yet, what would be for what is kept by now."""

    order: Order
    row: Row
    fulfilment: Fulfilment | None
    lines: Mapping[str, Tried]
    until: datetime | None
    settled: Charge | None
    due: Charge


@dataclass(frozen=True, slots=True)
class Decision:
    """So many units of each line are kept, so many go back."""

    id: str
    keep: Units
    send_back: Units
    by: str = BY_CUSTOMER


class Trying:
    """One hub's trials."""

    def __init__(self, teller: Teller) -> None:
        self.teller, self.store, self.blueprint = teller, teller.store, teller.blueprint
        self.rules = self.blueprint.trials

    async def __call__(self, connection: AsyncConnection, store: Store, events: Sequence[Event]) -> None:
        """Follow events that are new: trials begin, and are looked at again when something happens to their order."""
        about = [each for each in events if each.type.startswith(("order.", "shipment.", "return."))]
        begun = {}
        for event in about:
            if event.type == BEGINS and self.rules.fits(order := Order.model_validate(event.data["order"])):
                begun[event.subject] = (order.system, order.number)
        await trials.begin(connection, store, begun)
        await trials.look(connection, store, (each.subject for each in about))

    # --- customers ------------------------------------------------------------------------------------------------

    async def of_customer(self, channel: str, number: str, email: str) -> Standing:
        """How the customer's trial stands. Raises NoSuchOrder, NoTrial."""
        async with self.store.read() as connection:
            found = await shoporders.find(connection, channel, number, email)
            return await self._standing(connection, found.order)

    async def decide(self, channel: str, number: str, email: str, keep: Units, send_back: Units, key: str) -> Standing:
        """These units (above zero) are kept, those go back; all of it or nothing. How the trial stands then.

        The same `key` and decision again changes nothing. Raises NoSuchOrder, NoTrial, AnotherRequest, Over, TooMany.
        """
        async with self.store.write() as connection:
            found = await shoporders.find(connection, channel, number, email, lock=True)
            id_ = hashlib.sha256(f"{found.id}\x1f{key}".encode()).hexdigest()[:16]
            told = await requested.events_of(connection, found.id, (DECIDED,))
            known = next((data["trial"] for *_, data in told if data["trial"]["id"] == id_), None)
            decision = Decision(id_, keep, send_back)
            if known is not None and known != _told(decision):
                raise AnotherRequest
            standing = await self._standing(connection, found.order)
            if known is not None:
                return standing
            now = at_utc(await self.store.clock(connection))
            late = standing.until is not None and now >= standing.until and self.rules.when_over == "charge"
            if late or standing.row.state not in (OPEN, ASKED):
                raise Over
            left = {line: each.undecided for line, each in standing.lines.items() if each.undecided > 0}
            wanted = [*keep, *send_back]
            if not wanted or any(keep.get(n, 0) + send_back.get(n, 0) > left.get(n, 0) for n in wanted):
                raise TooMany(left)
            return await self._go_on(connection, standing, now, decision)

    # --- by people, and by the clock --------------------------------------------------------------------------------

    async def end(self, id_: str, keep: bool, who: str, why: str) -> Standing:
        """A person decides about an order (canonical id): what is undecided is kept, or, `keep` False, nothing of the
        trial is charged here. Who did so and why is in the audit. Raises NoTrial, Over.
        """
        async with self.store.write() as connection:
            state = await trials.locked_order(connection, id_)
            if state is None:
                raise NoTrial
            standing = await self._standing(connection, Order.model_validate(state))
            if standing.row.state not in (OPEN, ASKED):
                raise Over
            if keep:
                rest = {line: each.undecided for line, each in standing.lines.items() if each.undecided > 0}
                decision = Decision(BY_PERSON, rest, {}, BY_PERSON) if rest else None
                now = at_utc(await self.store.clock(connection))
                standing = await self._go_on(connection, standing, now, decision)
            else:
                standing = replace(standing, row=replace(standing.row, state=CLOSED, look_at=None))
                await trials.stands(connection, self.store, id_, CLOSED)
            await audit.note(connection, self.store, who, f"trial.{'kept' if keep else 'closed'}", id_, {"why": why})
            return standing

    async def care(self) -> int:
        """Look at the trials that are due; how many were settled, closed, or put before a person."""
        moved = 0
        for id_ in await trials.due(self.store, AT_ONCE):
            async with self.store.write() as connection:
                state = await trials.locked_order(connection, id_)
                if state is None:  # its shop's order is not known any more
                    await trials.stands(connection, self.store, id_, CLOSED)
                    continue
                standing = await self._standing(connection, Order.model_validate(state))
                if standing.row.state not in (OPEN, ASKED) or not await self._is_heard(connection, standing):
                    continue  # somebody was faster; or it is looked at again once both systems were read
                after = await self._go_on(connection, standing, at_utc(await self.store.clock(connection)))
                moved += after.row.state != standing.row.state
        return moved

    async def run(self, stop: asyncio.Event) -> None:
        """`care` by the clock, until `stop`."""
        while self.rules.declared and not stop.is_set():
            try:
                await self.care()
            except Exception as error:  # mostly the store out of reach; the next round tries again
                log.error("trials not looked after", error=type(error).__name__)
            await at_most(CARE_EVERY, stop)

    async def _is_heard(self, connection: AsyncConnection, standing: Standing) -> bool:
        """Whether ERP and shop were read since its time was over, where that decides: what came back, or was cancelled,
        while one of them was out of reach must not be charged."""
        if standing.until is None or not any(each.undecided for each in standing.lines.values()):
            return True
        erps = {flow.system for flow in self.blueprint.flows if flow.operation == "settle_trial"}
        for (feed, kind), of in zip(READ, (erps, {standing.row.channel}), strict=True):
            sources = [(system, feed) for system in sorted(of)]
            as_of, now = await looking.looked_at(connection, self.store, sources, kind)
            if now >= standing.until.timestamp() > (as_of or 0.0):
                return False
        return True

    # --- both -------------------------------------------------------------------------------------------------------

    async def _standing(self, connection: AsyncConnection, order: Order) -> Standing:
        id_ = order.canonical_id
        row = (await trials.of(connection, [id_])).get(id_)
        if row is None:
            raise NoTrial
        state = (await records.states_of(connection, "fulfilment", [id_])).get(id_)
        fulfilment = Fulfilment.model_validate(state) if state else None
        lines = tried(fulfilment, await keeps_of(connection, id_), await requests_of(connection, id_))
        return self._stands(order, row, fulfilment, lines)

    def _stands(self, order: Order, row: Row, fulfilment: Fulfilment | None, lines: Mapping[str, Tried]) -> Standing:
        at = left_at(fulfilment)
        due = charge(order, {line: each.kept for line, each in lines.items()}, self.rules, at)
        if row.state == CLOSED:
            due = Charge({}, Money.zero(order.currency).rounded())
        settled = Charge.read(row.charge) if row.charge else None
        return Standing(order, row, fulfilment, lines, at + self.rules.within if at else None, settled, due)

    async def _go_on(
        self, connection: AsyncConnection, standing: Standing, now: datetime, decision: Decision | None = None
    ) -> Standing:
        """What follows from the decision, or from the time it is: the events of it, and how the trial stands then."""
        order, row, lines = standing.order, standing.row, standing.lines
        events = []
        if decision is not None:
            events += _decided(order, decision, now)
            lines = _after(lines, decision)
        next_ = verdict(order, standing.fulfilment, lines, self.rules, now)
        if next_.act == "settle" and next_.keep:
            rest = Decision(BY_TIME, next_.keep, {}, BY_TIME)
            events += _decided(order, rest, now)
            lines = _after(lines, rest)
        row = self._row(row, next_)
        if row.state == trials.SETTLED and next_.charge is not None:
            events.append(_event(SETTLED, order, now, {"trial": _settled(order, next_.charge)}))
        elif row.state == ASKED:
            events.append(_event(OVERDUE, order, now, {"trial": {"why": next_.why}}, next_.why))
        await trials.stands(connection, self.store, row.id, row.state, row.look_at, row.charge)
        await self.teller.tell(connection, events)
        return self._stands(order, row, standing.fulfilment, lines)

    def _row(self, row: Row, next_: Verdict) -> Row:
        match next_.act:
            case "settle":
                assert next_.charge is not None
                return replace(row, state=trials.SETTLED, look_at=None, charge=next_.charge.told())
            case "close":
                return replace(row, state=CLOSED, look_at=None)
            case "ask":
                return replace(row, state=ASKED, look_at=None)
            case _:
                at = next_.look_at
                return replace(row, state=OPEN, look_at=at.timestamp() if at else None)


def _after(lines: Mapping[str, Tried], decision: Decision) -> dict[str, Tried]:
    """The lines once it was decided so."""
    return {
        line: replace(
            each,
            kept=each.kept + decision.keep.get(line, Decimal(0)),
            returning=each.returning + decision.send_back.get(line, Decimal(0)),
        )
        for line, each in lines.items()
    }


def _decided(order: Order, decision: Decision, now: datetime) -> list[Event]:
    events = [_event(DECIDED, order, now, {"trial": _told(decision)}, decision.id)]
    if decision.send_back:
        request = Request(decision.id, now, decision.send_back, REASON)
        events.append(asked_back(request, order.canonical_id, order.number, trial=True))
    return events


def _told(decision: Decision) -> dict[str, Any]:
    both = {"keep": decision.keep, "send_back": decision.send_back}
    written = {name: {line: f"{units:f}" for line, units in units.items()} for name, units in both.items()}
    return {"id": decision.id, "by": decision.by, **written}


def _settled(order: Order, charged: Charge) -> dict[str, Any]:
    """What a flow to the shop or a payment system needs: how much, of which payment."""
    paid = order.payments[0] if order.payments else None
    by = {"method": paid.method, "reference": paid.reference} if paid else {}
    return {**charged.told(), "number": order.number, "payment": by}


def _event(type_: str, order: Order, now: datetime, data: dict[str, Any], *more: str) -> Event:
    subject = order.canonical_id
    return Event(
        id=event_id(HUB, type_, subject, *more),
        type=type_,
        source=HUB,
        subject=subject,
        key=subject,
        time=now,
        correlation=subject,
        refs=(("order", order.number),),
        data=data,
    )
