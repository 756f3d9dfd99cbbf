"""tell_order: what the ERP has done about an order, told to the shop and its customer, each thing once.

What to say is decided here by pure functions from the newest Fulfilment and from what the shop shows; only the last
part of this module talks to the shop. Once means: what was told is kept in the order's meta data `_counterfoil_told`,
and the notes are read before one is written, because the answer to a POST may get lost.

A status goes forward only, each step once: after it a person in the shop may set what they like.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from counterfoil.connectors.overlay import PLAIN, Dialect
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.mapping import STATUSES, WORDS, plain_status
from counterfoil.connectors.woocommerce.orders import number_of, observed_in, one_by_one, order_in, rows_in
from counterfoil.connectors.woocommerce.translate import pickup_of
from counterfoil.hub.contract import Item, Kind, Outcome, rejected
from counterfoil.retail.fulfilment import ErpState, Fulfilment, Invoice, Packed, Shipment, ShipmentState
from counterfoil.retail.order import Status

TOLD = "_counterfoil_told"
SHIPMENTS = "_counterfoil_shipments"
TRACKING = "_wc_shipment_tracking_items"  # of the Shipment Tracking extension, and read by others too
OUT_OF_SIGHT = tuple(said for said, status in STATUSES.items() if status in (Status.TRASH, Status.DRAFT))
ENDED = tuple(WORDS[status] for status in (Status.CANCELLED, Status.REFUNDED, Status.FAILED))
MOST_ARTICLES = 25  # named in one note


@dataclass(frozen=True, slots=True)
class Manner:
    """The blueprint's choices: who sees the notes, whether the Shipment Tracking extension is filled, own statuses.

    `notes`: `customer` (all of them are mailed), `private` (none is), or empty: shipments for the customer only.
    """

    notes: str = ""
    shipment_tracking: bool = False
    dialect: Dialect = PLAIN


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to tell: its key for `_counterfoil_told`, the note, and how a note that already says it is known.

    `signs` are (beginning, part) of such a note; `shipping` says that it is about goods that left.
    """

    key: str
    text: str
    signs: tuple[tuple[str, str], ...]
    shipping: bool = False

    def is_said_in(self, notes: Iterable[str]) -> bool:
        """Whether one of the (plain) notes says it."""
        return any(note.startswith(start) and part in note for note in notes for start, part in self.signs)


@dataclass(frozen=True, slots=True)
class Shown:
    """What matters of the order as the shop has it; `status` is one of WooCommerce's own, `pickup` the place where it
    is collected."""

    status: str
    paid: bool
    told: frozenset[str]
    pickup: str = ""


def shown(data: Mapping[str, Any], dialect: Dialect = PLAIN) -> Shown:
    """From the shop's JSON; a status of the shop's own is taken for what the blueprint says it is."""
    rows = [row for row in _meta(data) if row.get("key") == TOLD]  # two where two writers raced
    told = frozenset(key for row in rows for key in str(row.get("value") or "").split())
    status = plain_status(str(data.get("status")))
    own = dialect.statuses.get(status) if status not in STATUSES else None
    return Shown(WORDS[own] if own else status, bool(data.get("date_paid_gmt")), told, pickup_of(data)[1])


def status_for(fulfilment: Fulfilment, order: Shown, on_trial: bool = False) -> tuple[str, str]:
    """The status the shop should have now, or '' to leave it, and the key of that step ('' where there is none).

    The key is given also where the shop has that status already, so that it is kept: what a person sets later stands.
    """
    if on_trial and not order.paid:  # the shop would date a payment when its status goes on
        return "", ""
    target, allowed = "", False
    sent = [s for s in fulfilment.shipments if s.state is ShipmentState.DONE and not s.returned]
    waits = order.status in ("pending", "on-hold") and not order.paid  # paid and on hold: a person put it there
    step = ""
    if fulfilment.state is ErpState.CANCELLED and not sent:
        target = step = "cancelled"
        allowed = order.status in ("pending", "on-hold", "processing")
    elif fulfilment.state is ErpState.CONFIRMED and fulfilment.is_delivered:
        target, step = "completed", f"completed:{len(sent)}"  # what is shipped later may complete it anew
        allowed = order.status == "processing" or waits
    elif fulfilment.state is ErpState.CONFIRMED:
        target = step = "processing"
        allowed = waits
    key = f"status:{step}" if step else ""
    if order.status == target:
        return "", key
    return (target, key) if allowed and key not in order.told else ("", "")


def facts_of(fulfilment: Fulfilment, pickup: str = "") -> list[Fact]:
    """Everything there is to tell, told or not, in the order of the shipments and then of the documents; `pickup` is
    where it is collected: then goods are ready, and do not leave."""
    facts: list[Fact] = []
    done = {s.id for s in fulfilment.shipments if s.state is ShipmentState.DONE}
    for shipment in sorted(fulfilment.shipments, key=_when):
        if pickup and not shipment.returned and (shipment.ready or shipment.state is ShipmentState.DONE):
            facts.append(_ready(shipment, pickup))
        elif shipment.state is ShipmentState.DONE:
            facts += [_returned(shipment)] if shipment.returned else _left(shipment)
        elif shipment.state is ShipmentState.OPEN and shipment.follows in done and not shipment.returned:
            facts.append(_later(shipment))
    return facts + [_invoice(invoice) for invoice in sorted(fulfilment.invoices, key=lambda i: (i.dated, i.id))]


def is_for_customer(fact: Fact, manner: Manner, status: str) -> bool:
    """Whether the customer is mailed this note. Of an order that is over they are told nothing more."""
    if status in ENDED or manner.notes == "private":
        return False
    return manner.notes == "customer" or fact.shipping


def shipments_meta(fulfilment: Fulfilment) -> list[dict[str, Any]]:
    """What left and what came back, as `_counterfoil_shipments` keeps it for the shop's theme and extensions."""
    return [
        {
            "id": s.id,
            "number": s.number,
            "carrier": s.carrier,
            "tracking": s.tracking,
            "url": _link(s.tracking_url),
            "done_at": s.done_at.isoformat() if s.done_at else "",
            "items": [{"line": i.line, "sku": i.sku, "quantity": _plain(i.quantity)} for i in s.items],
            "returned": s.returned,
        }
        for s in sorted(fulfilment.shipments, key=_when)
        if s.state is ShipmentState.DONE
    ]


def tracking_items(fulfilment: Fulfilment, kept: Any) -> list[dict[str, Any]]:
    """The list of the Shipment Tracking extension: others' entries as they are, ours as they should be.

    Field names as the extension stores them (woocommerce.com/document/shipment-tracking, `tracking_items`).
    """
    entries = [e for e in kept if isinstance(e, dict)] if isinstance(kept, list) else []
    ours = [
        {
            "tracking_provider": "",
            "custom_tracking_provider": s.carrier,
            "custom_tracking_link": _link(s.tracking_url),
            "tracking_number": s.tracking,
            "date_shipped": str(int(s.done_at.timestamp())) if s.done_at else "",
            "tracking_id": f"counterfoil-{s.id}",
        }
        for s in fulfilment.shipments
        if s.state is ShipmentState.DONE and not s.returned and s.tracking
    ]
    return [e for e in entries if not str(e.get("tracking_id", "")).startswith("counterfoil-")] + ours


def plain(note: str) -> str:
    """A note as people read it, to compare with: no tags, no entities, single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", note)).split())


# --- words ------------------------------------------------------------------------------------------------------


def _ready(shipment: Shipment, where: str) -> Fact:
    begin = f"Ready to collect at {where} ({shipment.number}):"
    text = _note(f"{begin} {_articles(shipment.items)}.")
    return Fact(f"ready:{quote(shipment.id)}", text, ((_line(begin), ""),), shipping=True)


def _left(shipment: Shipment) -> list[Fact]:
    """That it left; and its tracking number, which the same note says unless it became known later."""
    begin = f"Shipment {shipment.number} has left"
    with_ = f" with {shipment.carrier}" if shipment.carrier else ""
    track = _follow(shipment)
    left = Fact(
        f"shipment:{quote(shipment.id)}",
        _note(f"{begin}{with_}: {_articles(shipment.items)}. {track}"),
        ((f"{_line(begin)} with", ""), (f"{_line(begin)}:", "")),
        shipping=True,
    )
    if not shipment.tracking:
        return [left]
    part = _line(_tracking(shipment))
    later = f"Tracking number of shipment {shipment.number}"
    tracked = Fact(
        f"tracking:{quote(shipment.id)}:{quote(shipment.tracking)}",
        _note(f"{later}: {track}"),
        tuple((start, part) for start in (*(start for start, _ in left.signs), f"{_line(later)}:")),
        shipping=True,
    )
    return [left, tracked]


def _follow(shipment: Shipment) -> str:
    if not shipment.tracking:
        return ""
    link = _link(shipment.tracking_url)
    return _tracking(shipment) + (f" Follow it here: {link}" if link else "")


def _tracking(shipment: Shipment) -> str:
    return f"Tracking number: {shipment.tracking}."


def _later(shipment: Shipment) -> Fact:
    begin = f"Back-order: a later shipment ({shipment.number}) brings"
    return Fact(
        f"backorder:{quote(shipment.id)}", _note(f"{begin} {_articles(shipment.items)}."), ((f"{_line(begin)} ", ""),)
    )


def _returned(shipment: Shipment) -> Fact:
    begin = f"Goods have come back ({shipment.number}):"
    return Fact(f"return:{quote(shipment.id)}", _note(f"{begin} {_articles(shipment.items)}."), ((_line(begin), ""),))


def _invoice(invoice: Invoice) -> Fact:
    begin = f"{'Credit note' if invoice.credit else 'Invoice'} {invoice.number} of"
    link = _link(invoice.url)
    text = f"{begin} {invoice.total}" + (f": {link}" if link else "")
    key = f"{'credit' if invoice.credit else 'invoice'}:{quote(invoice.id)}"
    return Fact(key, _note(text), ((f"{_line(begin)} ", ""),))


def _articles(items: Sequence[Packed]) -> str:
    named = [f"{_plain(i.quantity)} × {' '.join((i.name or i.sku or 'article').split())[:120]}{_sku(i)}" for i in items]
    more = len(named) - MOST_ARTICLES
    return ", ".join(named[:MOST_ARTICLES]) + (f" and {more} more" if more > 0 else "") if named else "all of it"


def _sku(item: Packed) -> str:
    return f" ({item.sku})" if item.sku and item.name and item.sku not in item.name else ""


def _plain(quantity: Decimal) -> str:
    text = f"{quantity:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _link(url: str) -> str:
    """A link that people may click on, and nothing else."""
    return url if re.fullmatch(r"https?://[^\s<>\"']{1,1000}", url) else ""


def _note(text: str) -> str:
    """Notes are shown as HTML: what an article is called must not become a tag."""
    return html.escape(_line(text), quote=False)


def _line(text: str) -> str:
    return " ".join(text.split())


def _when(shipment: Shipment) -> tuple[bool, str, int, str]:
    done_at = shipment.done_at.isoformat() if shipment.done_at else ""
    return (not done_at, done_at, len(shipment.id), shipment.id)


# --- the shop ---------------------------------------------------------------------------------------------------


async def tell_orders(client: Client, system: str, manner: Manner, items: Sequence[Item]) -> list[Outcome]:
    """Bring each shop order up to its newest Fulfilment (`data["state"]`); one outcome an item.

    Idempotent by looking first, at the order's meta data and at its notes. What remains: a note whose POST reaches
    the shop only after the notes were read again is written twice.
    """
    return await one_by_one(items, lambda item: _tell(client, system, manner, item))


async def _tell(client: Client, system: str, manner: Manner, item: Item) -> Outcome:
    state = item.data.get("state") or item.data.get("fulfilment")
    if not isinstance(state, Mapping):
        technical = f"{item.event_type} of {item.subject} carries no fulfilment"
        return Outcome(Kind.BUG, "no_fulfilment", "It is not known how far the ERP is with this order.", technical)
    fulfilment = Fulfilment.model_validate(state)
    number = number_of(item.subject)
    answer = await client.get(f"orders/{number}")
    data = order_in(answer, number)
    order = shown(data, manner.dialect)
    if order.status in OUT_OF_SIGHT:
        return _told(number, fulfilment, "", [], because=f"the order is in the shop's {order.status}")
    facts = [fact for fact in facts_of(fulfilment, order.pickup) if fact.key not in order.told]
    written = await _write_notes(client, number, facts, manner, order.status)
    on_trial = item.data.get("on_trial") is True
    if written and status_for(fulfilment, order, on_trial)[0]:  # that took a while: what a person did meanwhile counts
        answer = await client.get(f"orders/{number}")
        data = order_in(answer, number)
        order = shown(data, manner.dialect)
    target, step = status_for(fulfilment, order, on_trial)
    if not target and not facts:
        told = _told(number, fulfilment, "", [])
        if not step or step not in order.told:
            return told
        wrote = _wrote(order.status, order.paid, paid_before=False)  # the answer to our own write may have got lost
        return replace(told, observed=observed_in(system, answer, manner.dialect), wrote=wrote)
    content = {"meta_data": _meta_for(data, fulfilment, facts, step, manner), **({"status": target} if target else {})}
    answer = await client.call("PUT", f"orders/{number}", content=content)
    now = shown(order_in(answer, number), manner.dialect)
    if not now.told >= {fact.key for fact in facts}:
        return rejected(
            "note_not_kept",
            "The shop took what it was told but did not keep a record of it.",
            f"A plugin in the shop filters order meta data; allow the key {TOLD}.",
        )
    if target and now.status != target:
        return rejected(
            "status_not_kept",
            f"The shop was asked to make the order {target}, and made it {now.status}.",
            "A plugin in the shop has rules of its own for this status; change the rule, or set the status by hand.",
        )
    told = _told(number, fulfilment, target, written, stock_moved=_moves_stock(order.status, target))
    wrote = _wrote(target, now.paid, order.paid) if target else frozenset[str]()
    return replace(told, observed=observed_in(system, answer, manner.dialect), wrote=wrote)


async def _write_notes(client: Client, number: str, facts: Sequence[Fact], manner: Manner, status: str) -> list[str]:
    """Write what no note says yet; the keys of what was written."""
    if not facts:
        return []
    answer = await client.get(f"orders/{number}/notes")
    notes = [plain(str(note.get("note", ""))) for note in rows_in(answer)]
    written = []
    for fact in facts:
        if fact.is_said_in(notes):
            continue
        content = {"note": fact.text, "customer_note": is_for_customer(fact, manner, status)}
        await client.call("POST", f"orders/{number}/notes", content=content)
        notes.append(plain(fact.text))
        written.append(fact.key)
    return written


def _wrote(status: str, paid: bool, paid_before: bool) -> frozenset[str]:
    """What of the observed order is our doing. The shop dates a payment by itself when it makes an order `processing`
    at our word: that is not money. Cash on delivery it dates when the order is completed: that is news."""
    ours = {"status"}
    if status == "processing" and paid and not paid_before:
        ours.add("payments")
    return frozenset(ours)


def _meta_for(
    data: Mapping[str, Any], fulfilment: Fulfilment, facts: Sequence[Fact], step: str, manner: Manner
) -> list[dict[str, Any]]:
    told = shown(data).told | {fact.key for fact in facts} | ({step} if step else set())
    values: dict[str, Any] = {TOLD: " ".join(sorted(told))}
    # what is collected was announced before it left, and its leaving has no words of its own
    if shown(data).pickup or any(fact.shipping or fact.key.startswith("return:") for fact in facts):
        values[SHIPMENTS] = shipments_meta(fulfilment)
        if manner.shipment_tracking:
            kept = next((row.get("value") for row in _meta(data) if row.get("key") == TRACKING), None)
            values[TRACKING] = tracking_items(fulfilment, kept)
    return [{"key": key, "value": value} for key, value in values.items()]


def _meta(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = data.get("meta_data")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _told(
    number: str,
    fulfilment: Fulfilment,
    status: str,
    notes: Sequence[str],
    because: str = "",
    stock_moved: bool = False,
) -> Outcome:
    result: dict[str, Any] = {"order_id": number, "number": fulfilment.number, "status": status, "notes": list(notes)}
    if because:
        result["because"] = because
    if stock_moved:  # the shop has counted the order's articles anew: they are to be published once more
        result["stock_moved"] = True
    return Outcome(Kind.DONE, result=result, link=number, emits=("order.told",))


def _moves_stock(before: str, target: str) -> bool:
    """Whether the shop takes or gives back stock by itself with this step: measured on 9.9.5."""
    return target == "cancelled" or (before == "pending" and bool(target))
