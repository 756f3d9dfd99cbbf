"""What the ERP has done about an order, as facts for the shop: pure decisions over two states of a Fulfilment.

A Fulfilment is a state; its facts are the things that are true in it (confirmed, this shipment has left, that invoice
stands). What is true now and was not true before is told, and only that: so a first look tells all of it, a repeated
one nothing, and several things that happened between two looks are several facts, in their natural order.

A shipment is told when it leaves, and once more for each tracking number it gets later: the number is a fact of its
own, and who handles `shipment.dispatched` finds by the shipment's id whether it has told of it before. A number that
is taken away again is no fact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from counterfoil.hub.contract import Observed
from counterfoil.hub.decode import Decision, Process
from counterfoil.hub.records import Known, state_digest
from counterfoil.processes.orders import HISTORY
from counterfoil.retail.events import Event, event_id, moment
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Invoice, Shipment, ShipmentState

QUOTATION, CONFIRMED, PART_SHIPPED, DELIVERED, CLOSED = "quotation", "confirmed", "part_shipped", "delivered", "closed"
"""The stages: how far the ERP is with the order."""
READY = "order.ready_for_pickup"


@dataclass(frozen=True, slots=True)
class _Fact:
    """A thing that is true: the event that tells it, what it is about, and what makes it one fact and not two."""

    type: str
    keys: frozenset[str]
    part: Shipment | Invoice | None = None


def fulfilments(system: str, ready: str = "") -> Process:
    """The process for objects of kind `fulfilment` of one ERP. About an order that is history nothing is told.

    `ready`: what makes an order that is collected ready in its store, its goods being reserved (`assigned`) or taken
    from the shelf (`done`); where it is empty, nothing is told of that.
    """

    def interpret(known: Known | None, observed: Observed, _origin: str) -> Decision:
        assert isinstance(observed.state, Fulfilment)
        before = Fulfilment.model_validate(known.state) if known else None
        return judge(system, before, observed.state, observed.version, ready)

    needs = {READY: "pickup"} if ready else {}
    kept = frozenset({CONFIRMED, PART_SHIPPED})
    return Process(interpret, matters=kept, quiet=frozenset({HISTORY}), needs=needs)


def judge(system: str, before: Fulfilment | None, now: Fulfilment, version: str = "", ready: str = "") -> Decision:
    """The stage the ERP's order is in now, and the facts that were not yet true before.

    `version` (when it was read, by the ERP's clock) and the state before are part of an event's id: what is undone
    and done again is told again.
    """
    told = {key for fact in _facts(before, ready) for key in fact.keys} if before else set[str]()
    identity = (version, state_digest(before) if before else "")
    at = moment(version) if version else _latest(now)
    events = tuple(_event(system, fact, now, at, identity) for fact in _facts(now, ready) if not fact.keys <= told)
    return Decision(stage_of(now), events)


def _facts(state: Fulfilment, ready: str) -> Iterator[_Fact]:
    """All that is true of it, in the order in which it happens to an order."""
    confirmed = state.state is ErpState.CONFIRMED
    if confirmed:
        yield _Fact("order.confirmed", frozenset({"confirmed"}))
    for shipment in state.shipments if ready and confirmed else ():
        done = shipment.state is ShipmentState.DONE
        if not shipment.returned and (done or (shipment.ready and ready == "assigned")):
            yield _Fact(READY, frozenset({f"ready:{shipment.id}"}), shipment)
    for shipment in state.shipments:
        if shipment.state is ShipmentState.DONE and not shipment.returned:
            left = f"left:{shipment.id}"
            numbers = {f"{left}:{shipment.tracking}"} if shipment.tracking else set[str]()
            yield _Fact("shipment.dispatched", frozenset({left} | numbers), shipment)
    for shipment in state.shipments:
        if shipment.state is ShipmentState.OPEN and shipment.follows and not shipment.returned and confirmed:
            yield _Fact("order.backordered", frozenset({f"later:{shipment.id}"}), shipment)
    if confirmed and state.is_delivered:
        yield _Fact("order.delivered", frozenset({"delivered"}))
    for invoice in state.invoices:
        type_ = "order.credited" if invoice.credit else "order.invoiced"
        yield _Fact(type_, frozenset({f"invoice:{invoice.id}"}), invoice)
    for shipment in state.shipments:
        if shipment.state is ShipmentState.DONE and shipment.returned:
            yield _Fact("shipment.returned", frozenset({f"back:{shipment.id}"}), shipment)
    if state.state is ErpState.CANCELLED:
        yield _Fact("order.closed", frozenset({"closed"}))


def stage_of(state: Fulfilment) -> str:
    """How far the ERP is with the order."""
    if state.state is ErpState.CANCELLED:
        return CLOSED
    if state.state is ErpState.QUOTATION:
        return QUOTATION
    if state.is_delivered:
        return DELIVERED
    left = any(s.state is ShipmentState.DONE and not s.returned for s in state.shipments)
    return PART_SHIPPED if left else CONFIRMED


def _latest(state: Fulfilment) -> datetime:
    """When the last shipment was done; now, where none was."""
    return max((s.done_at for s in state.shipments if s.done_at), default=datetime.now(UTC))


def _event(system: str, fact: _Fact, state: Fulfilment, at: datetime, identity: tuple[str, ...]) -> Event:
    data: dict[str, Any] = {"fulfilment": state.model_dump(mode="json")}
    refs = [(system, state.id), ("erp", state.number)]
    if isinstance(fact.part, Shipment):
        data["shipment"] = fact.part.model_dump(mode="json")
        refs += [("shipment", fact.part.number), ("tracking", fact.part.tracking)]
    elif isinstance(fact.part, Invoice):
        data["invoice"] = fact.part.model_dump(mode="json")
        refs.append(("invoice", fact.part.number))
    return Event(
        id=event_id(system, fact.type, state.order, *sorted(fact.keys), *identity),
        type=fact.type,
        source=system,
        subject=state.order,
        key=state.order,
        time=at,
        correlation=state.order,
        refs=tuple(dict.fromkeys((kind, value) for kind, value in refs if value)),
        data=data,
    )
