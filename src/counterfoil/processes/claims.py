"""What an order claims of the stock, from the moment it is known until the ERP's own figures hold it. Pure.

An order claims all it sells when it is placed. What the ERP has confirmed of it is `accepted`; a reading of stock that
began after that holds it, and the claim ends there (hub/availability/readings.py), whoever ships, closes or cancels it
afterwards. So an article is never counted twice, and never not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from counterfoil.hub.availability.stock import Taking
from counterfoil.retail.availability import thousandths
from counterfoil.retail.bundles import explode
from counterfoil.retail.order import LineKind

SOLD = frozenset({"order.placed", "order.waiting", "order.changed"})
"""An order wants goods: these, from now on."""
GIVEN_UP = frozenset({"order.cancelled", "order.not_wanted"})
CONFIRMED = frozenset({"order.accepted", "order.confirmed", "order.delivered"})
"""The ERP says that it has an order, as a quotation or confirmed, or that nothing of it is left to ship."""
NAMED = SOLD | GIVEN_UP | CONFIRMED

_NOT_CONFIRMED = frozenset({"draft", "sent", "cancel"})
"""States of an order in the ERP in which it demands no stock."""

At = Mapping[tuple[str, str], int]
"""By article and place: thousandths."""


def goods(lines: Iterable[Mapping[str, Any]], bundles: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """What lines take of single articles, by SKU; bundles in their parts (F18). `ordered` is an ERP's quantity."""
    some = [line for line in lines if line.get("kind", LineKind.PRODUCT) == LineKind.PRODUCT and line.get("sku")]
    asked = [(line["sku"].strip(), thousandths(Decimal(str(line.get("ordered") or line["quantity"])))) for line in some]
    return explode([(sku, units) for sku, units in asked if units > 0], bundles)


def is_confirmed(told: Mapping[str, Any], cause: Mapping[str, Any] | None) -> bool:
    """Whether an order that was accepted demands its goods now; a quotation does not."""
    if "state" in told:
        return told["state"] not in _NOT_CONFIRMED
    return cause is None or cause.get("level") != "quotation"


def sold(holder: str, channel: str, wanted: At) -> list[Taking]:
    """What an order takes that is here for the first time, or again: nothing of it is in the ERP."""
    return [Taking(holder, article, place, units, channel) for (article, place), units in sorted(wanted.items())]


def changed(
    mine: Sequence[Taking], holder: str, channel: str, wanted: At, before: Mapping[str, int], most: Mapping[str, int]
) -> list[Taking]:
    """What an order takes that is another one from now on. Of an article of which nothing is taken any more, the ERP
    has all that the order had of it `before`. Once it has the change it counts `most` of each article, no more."""
    after: list[Taking] = []
    for article in sorted({article for article, _ in wanted}):
        old = [t for t in mine if t.article == article]
        new = sold(holder, channel, {at: units for at, units in wanted.items() if at[0] == article})
        known = sum(t.known for t in old) if old else before.get(article, 0)
        accepted = sum(t.accepted for t in old) if old else known
        known, accepted = min(known, most.get(article, 0)), min(accepted, most.get(article, 0))
        since = max((t.accepted_at for t in old if t.accepted_at is not None), default=None)
        new = [replace(t, known=some, accepted_at=since) for t, some in _spread(new, known)]
        after += [replace(t, accepted=some) for t, some in _spread(new, accepted)]
    return after


def given_up(mine: Iterable[Taking]) -> list[Taking]:
    """What is left of an order that nobody wants any more: what the ERP has confirmed, until it is in its figures, from
    which the ERP's own cancelling takes it. The rest is free at once."""
    return [replace(t, units=t.known if t.accepted_at is None else max(t.known, t.accepted)) for t in mine]


def confirmed(mine: Sequence[Taking], units: Mapping[str, int] | None, at: float) -> list[Taking]:
    """What an order takes of which the ERP has confirmed so much of each article (None: all) at this moment.

    Where it says less than before (a refund took it off, say, or this was read earlier), the next reading tells: what
    the ERP had is in its figures then, or is not demanded any more. Nothing is claimed for it for ever.
    """
    after: list[Taking] = []
    for article in sorted({t.article for t in mine}):
        old = [t for t in mine if t.article == article]
        accepted = sum(t.units for t in old) if units is None else units.get(article, 0)
        for taking, some in _spread(old, accepted):
            if some != taking.accepted or taking.accepted_at is None:
                most = max(some, taking.accepted)
                taking = replace(taking, accepted=most, accepted_at=at if most != taking.known else None)
            after.append(taking)
    return after


def _spread(takings: Sequence[Taking], units: int) -> list[tuple[Taking, int]]:
    """How much of so many units belongs to each, those first of which the most is known already."""
    found: list[tuple[Taking, int]] = []
    for taking in sorted(takings, key=lambda t: (-t.known, t.place)):
        some = min(units, taking.units)
        units -= some
        found.append((taking, some))
    return found
