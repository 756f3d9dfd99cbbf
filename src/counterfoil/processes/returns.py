"""What of an order may still be sent back, and what became of what a customer asked for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase

from counterfoil.blueprint.returning import Returns
from counterfoil.retail.fulfilment import Fulfilment, Packed, Shipment, ShipmentState

NOUGHT = Decimal(0)


@dataclass(frozen=True, slots=True)
class Request:
    """What a customer asked to return: units by line. `pickings`: the ERP's numbers of what waits for it, once it
    does. `given_up`: a person has said that nothing comes of it."""

    id: str
    asked_at: datetime
    lines: Mapping[str, Decimal]
    reason: str = ""
    pickings: tuple[str, ...] = ()
    given_up: bool = False


def returnable(
    fulfilment: Fulfilment, requests: Sequence[Request], rules: Returns, now: datetime
) -> dict[str, Decimal]:
    """Units that may be asked for, by line: shipped within the time declared, not back, not on their way back."""
    names = {line.sku: line.line for line in fulfilment.lines if line.sku and line.line}
    gone, lately, back = dict[str, Decimal](), dict[str, Decimal](), dict[str, Decimal]()
    for shipment in fulfilment.shipments:
        if shipment.returned and shipment.state is not ShipmentState.CANCELLED:
            _add(back, shipment.items, names)
        elif not shipment.returned and shipment.state is ShipmentState.DONE:
            _add(gone, shipment.items, names)
            if shipment.done_at is not None and now - shipment.done_at <= rules.within:
                _add(lately, shipment.items, names)
    for request in requests:
        for line, units in outstanding(request, fulfilment).items():
            back[line] = back.get(line, NOUGHT) + units
    skus = {line.line: line.sku for line in fulfilment.lines}
    left = {line: min(units, gone[line] - back.get(line, NOUGHT)) for line, units in lately.items()}
    return {line: units for line, units in left.items() if units > 0 and not _never(skus.get(line, ""), rules.never)}


def outstanding(request: Request, fulfilment: Fulfilment) -> Mapping[str, Decimal]:
    """What of a request the ERP's returns, as they are known, do not count yet."""
    known = {shipment.number for shipment in fulfilment.shipments}
    counted = request.given_up or (request.pickings and set(request.pickings) <= known)
    return {} if counted else request.lines


def state_of(request: Request, fulfilment: Fulfilment | None) -> str:
    """requested, prepared (the ERP waits for the goods), received, or given_up."""
    if request.given_up:
        return "given_up"
    if not request.pickings:
        return "requested"
    mine = [s for s in fulfilment.shipments if s.number in request.pickings] if fulfilment else []
    if mine and all(s.state is ShipmentState.CANCELLED for s in mine):
        return "given_up"
    return "received" if mine and not any(_waits(s) for s in mine) else "prepared"


def _waits(shipment: Shipment) -> bool:
    return shipment.state is ShipmentState.OPEN


def _add(to: dict[str, Decimal], items: Sequence[Packed], names: Mapping[str, str]) -> None:
    for item in items:
        line = item.line or names.get(item.sku, "")
        if line:
            to[line] = to.get(line, NOUGHT) + item.quantity


def _never(sku: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(sku, pattern) for pattern in patterns)
