"""Refunds read whole, and the reconciling look at them that stands behind the orders' feed.

A refund moves its order's date_modified, so it comes in with the order, however old that is. Deleting one moves
nothing and sends nothing (measured on 9.9.5): so all refunds of a window are listed every few minutes, and the orders
whose list differs from last time's are read again, into the same receipts as any order.

Refunds have no currency of their own, positive amounts, and negative lines that name the order's line in
`_refunded_item_id`. Lines need not sum to the amount: the amount is what the customer got.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.feeds import PER_PAGE, raw_of
from counterfoil.connectors.woocommerce.orders import number_of, one_by_one, rows_in
from counterfoil.connectors.woocommerce.reading import At, meta_texts
from counterfoil.connectors.woocommerce.translate import iso_z, line_taxes
from counterfoil.hub.contract import NOT_PAID_OUT, BadPayload, Failure, Item, Kind, Outcome, Page, Raw, rejected
from counterfoil.retail.money import Money
from counterfoil.retail.order import LineKind, Refund, RefundLine, Tax

_KINDS = {"line_items": LineKind.PRODUCT, "shipping_lines": LineKind.SHIPPING, "fee_lines": LineKind.FEE}
_UNDER_WAY = {"pending", "processing", "in_transit", "requires_action", "queued", "on-hold"}
_FAILED = {"failed", "canceled", "cancelled", "rejected"}


async def read_refunds(client: Client, system: str, items: Sequence[Item]) -> list[Outcome]:
    """All refunds of each order, whole, as `order.refund_read`; one outcome an item. Reads only, so it may be repeated.

    Data: `refunds`, and in `gone` the ids of refunds that the shop has deleted since it told of them. Where nothing
    but that happened, a person is asked: what was booked of them must be taken back by hand.
    """
    return await one_by_one(items, lambda item: _read(client, item))


async def _read(client: Client, item: Item) -> Outcome:
    number = number_of(item.subject)
    order = item.data.get("state") or item.data.get("order") or {}
    currency = str(order.get("currency") or "")
    if not currency:
        currency = str((await client.get(f"orders/{number}", _fields="id,currency")).data.get("currency") or "")
    under_way = {r["id"] for r in order.get("refunds", ()) if r.get("pending")}
    try:
        entries = await _whole_list(client, f"orders/{number}/refunds")
        found = [refund_of(At(f"refunds[{n}]", entry), currency) for n, entry in enumerate(entries)]
        states = {refund.id: _state(entry) for refund, entry in zip(found, entries, strict=True)}
    except BadPayload as bad:
        return rejected(bad.reason, f"A refund of the order cannot be read: {bad.message}", bad.suggestion)
    waits = sorted(id_ for id_, state in states.items() if state in _UNDER_WAY and id_ not in under_way)
    failed = sorted(id_ for id_, state in states.items() if state in _FAILED)
    unpaid = {NOT_PAID_OUT: sorted([*failed, *waits])}
    if failed:
        no = rejected(
            "refund_failed",
            f"The payment provider did not carry out refund {', '.join(failed)}; the customer has no money back.",
            "Refund anew in the shop or at the payment provider; delete the failed refund in the shop, then retry.",
        )
        return replace(no, result=unpaid)
    if waits:  # nothing on the order will change when it goes through, so this is where it is waited for
        words = f"Refund {', '.join(waits)} is not through at the payment provider yet."
        what_to_do = "Retry once the provider has paid it out."
        return Outcome(Kind.RETRY, "refund_pending", words, suggestion=what_to_do, result=unpaid)
    before = {r["id"]: r for r in (item.data.get("before") or {}).get("refunds", ())}
    gone = [r for id_, r in before.items() if id_ not in states and Money.parse(str(r["amount"]))]
    if gone and set(states) <= set(before):
        named = ", ".join(f"{r['id']} of {r['amount']}" for r in gone)
        return rejected(
            "refund_deleted",
            f"The shop has deleted a refund that it told of before: {named}.",
            "If the ERP has a credit note or a payment for it, take that back there; then close this.",
        )
    refunds = [refund.model_copy(update={"pending": True}) if refund.id in under_way else refund for refund in found]
    result = {
        "order_id": number,
        "refunds": [refund.model_dump(mode="json") for refund in sorted(refunds, key=lambda r: int(r.id))],
        "gone": [r["id"] for r in gone],
    }
    return Outcome(Kind.DONE, result=result, link=number, emits=("order.refund_read",))


async def _whole_list(client: Client, path: str, **params: str | int) -> list[dict[str, Any]]:
    """All pages of a short list; what moves over a page border meanwhile is there once."""
    entries: dict[Any, dict[str, Any]] = {}
    page, pages = 1, 1
    while page <= pages:
        answer = await client.get(path, per_page=PER_PAGE, page=page, **params)
        rows_in(answer)  # is it a list of objects at all
        exact = json.loads(answer.body, parse_float=Decimal)  # quantities may be broken: never as floats
        entries |= {entry.get("id"): entry for entry in exact}
        pages = answer.number("x-wp-totalpages") or 1
        page += 1
    return list(entries.values())


def _state(entry: Mapping[str, Any]) -> str:
    """What the payment provider's plugin says of the refund, empty where it says nothing."""
    return next((value.strip().lower() for key, value in meta_texts(entry) if key.endswith("refund_status")), "")


def refund_of(at: At, currency: str) -> Refund:
    """One refund from the shop's JSON. Raises BadPayload."""
    amount = at.amount("amount")
    made = at.moment("date_created_gmt")
    if made is None:
        at.wrong("date_created_gmt", "a date")
    step = Decimal(1).scaleb(-len(str(at.data["amount"]).partition(".")[2]))
    lines = tuple(_line(entry, kind, currency, step) for key, kind in _KINDS.items() for entry in at.objects(key))
    return Refund(
        id=at.id("id"),
        amount=abs(Money(amount, currency)),
        reason=at.text("reason", ""),
        refunded_at=made,
        lines=lines,
    )


def _line(at: At, kind: LineKind, currency: str, step: Decimal) -> RefundLine:
    """What is given back is negative in the shop and positive here; a negative fee is the other way round."""
    taxes = line_taxes(at, None, currency, step)
    return RefundLine(
        line=next((value for key, value in meta_texts(at.data) if key == "_refunded_item_id"), ""),
        kind=kind,
        quantity=-at.quantity("quantity") if kind is LineKind.PRODUCT else Decimal(0),
        net=-Money(at.amount("total"), currency),
        taxes=tuple(Tax(code=code, amount=-tax) for code, tax in taxes.items() if tax),
    )


# --- the reconciling look -----------------------------------------------------------------------------------------


async def poll_refunds(client: Client, cursor: Mapping[str, Any], window: timedelta) -> AsyncIterator[Page]:
    """The orders whose refunds are not those of the last look: new ones, and ones with a refund deleted.

    The cursor keeps the refunds of the `window`, by order. Its receipts are given before it moves on, so a round
    broken off is done again. Raises Failure.
    """
    since = str(cursor.get("since") or "")
    known = {str(order): frozenset(ids) for order, ids in (cursor.get("orders") or {}).items()}
    now, start, dated = await _refunds_since(client, since, window)
    listed = {order: frozenset(ids) for order, ids in dated.items()}
    changed = sorted((o for o in known.keys() | listed.keys() if known.get(o) != listed.get(o)), key=int)
    for first in range(0, len(changed), PER_PAGE):
        receipts = await _orders(client, changed[first : first + PER_PAGE])
        yield Page(receipts, cursor)
    begin = max(start, iso_z(now - window))
    kept = {order: sorted((i for i, at in ids.items() if at > begin), key=int) for order, ids in dated.items()}
    yield Page([], {"since": begin, "orders": {order: ids for order, ids in sorted(kept.items()) if ids}})


async def _refunds_since(
    client: Client, since: str, window: timedelta
) -> tuple[datetime, str, dict[str, dict[str, str]]]:
    """The shop's time, from when on refunds were listed, and when each was made, by order."""
    answer = await client.get("orders", per_page=1, _fields="id")
    now = answer.shop_time or datetime.now(UTC)
    start = since or iso_z(now - window)
    found: dict[str, dict[str, str]] = {}
    try:
        fields = "id,parent_id,date_created_gmt"
        entries = await _whole_list(client, "refunds", after=start, orderby="id", order="asc", _fields=fields)
    except Failure as failure:
        if "rest_no_route" not in failure.outcome.technical:
            raise
        # a shop older than the list of all refunds: the orders changed in the window say which they have
        params = {"modified_after": start, "orderby": "id", "order": "asc", "_fields": "id,refunds"}
        for order in await _whole_list(client, "orders", **params):
            ids = [str(refund.get("id")) for refund in order.get("refunds") or () if isinstance(refund, dict)]
            if ids:
                found[str(order.get("id"))] = dict.fromkeys(ids, iso_z(now))
        return now, start, found
    for entry in entries:
        made = f"{str(entry.get('date_created_gmt') or '')[:19]}Z"
        found.setdefault(str(entry.get("parent_id")), {})[str(entry.get("id"))] = made
    return now, start, {order: ids for order, ids in found.items() if order.isdigit() and order != "0"}


async def _orders(client: Client, numbers: Iterable[str]) -> list[Raw]:
    """These orders as they stand now; those in the trash or gone are left out."""
    params: dict[str, str | int] = {"include": ",".join(numbers), "status": "any", "orderby": "id", "order": "asc"}
    return [raw_of(entry) for entry in rows_in(await client.get("orders", per_page=PER_PAGE, **params))]
