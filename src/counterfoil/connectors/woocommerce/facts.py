"""What the drift audit reads of the shop: orders in a few fields, articles with stock and prices, 100 a call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterfoil.connectors.overlay import Dialect
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.feeds import raw_of
from counterfoil.connectors.woocommerce.history import history
from counterfoil.connectors.woocommerce.mapping import STATUSES, plain_status
from counterfoil.connectors.woocommerce.places import Place, Row, pages, place_of, place_of_row, rows_by_id, rows_by_sku
from counterfoil.connectors.woocommerce.reading import At
from counterfoil.connectors.woocommerce.shop_facts import ShopFacts
from counterfoil.hub.contract import BadPayload, Raw
from counterfoil.hub.facts import Shelf, ShopOrder
from counterfoil.retail.money import Money

ORDER = "id,number,status,date_created_gmt,date_modified_gmt,currency,total,date_paid_gmt,refunds"
SHELF = "status,manage_stock,stock_quantity,regular_price,sale_price"
IDS = 100
"""Ids in one request."""


async def list_orders(
    client: Client, system: str, dialect: Dialect, since: datetime, until: datetime
) -> AsyncIterator[Sequence[ShopOrder]]:
    """Orders created in [since, until) but those in the trash, the newest page first. Raises Failure."""
    async for page in history(client, {}, since, until, ORDER):
        rows = [json.loads(raw.body, parse_float=Decimal) for raw in page.receipts]
        yield [found for row in rows if (found := _order(system, dialect, row)) is not None]


async def orders_now(client: Client, system: str, dialect: Dialect, ids: Sequence[str]) -> list[ShopOrder]:
    """These orders by canonical id, those in the trash too; what is deleted for good is left out. Raises Failure."""
    rows = await _rows(client, [id_.rpartition(":")[2] for id_ in ids], _fields=ORDER)
    return [found for row in rows if (found := _order(system, dialect, row)) is not None]


async def fetch(client: Client, numbers: Sequence[str]) -> list[Raw]:
    """These orders whole, as the poll would bring them. Raises Failure."""
    return [raw_of(row) for row in await _rows(client, numbers)]


async def _rows(client: Client, numbers: Sequence[str], **params: str) -> list[Row]:
    wanted = sorted({int(number) for number in numbers if number.isascii() and number.isdigit()})
    found: list[Row] = []
    for start in range(0, len(wanted), IDS):
        chunk = wanted[start : start + IDS]
        for status in ("any", "trash"):  # `any` leaves the trash out
            include = ",".join(map(str, chunk))
            found += [row async for row in pages(client, "orders", include=include, status=status, **params)]
            known = {row["id"] for row in found}
            chunk = [number for number in chunk if number not in known]
            if not chunk:
                break
    return found


def _order(system: str, dialect: Dialect, row: Row) -> ShopOrder | None:
    """None for one in a status that nobody has mapped: it is an exception already when it comes as a receipt."""
    top = At("", row)
    try:
        told = plain_status(top.text("status"))
        status = dialect.statuses.get(told) or STATUSES.get(told)
        placed = top.moment("date_created_gmt")
        modified = top.moment("date_modified_gmt") or placed
        if status is None or placed is None or modified is None:
            return None
        refunds = [abs(Decimal(str(refund.data.get("total") or 0))) for refund in top.objects("refunds")]
        return ShopOrder(
            id=f"{system}:order:{top.id('id')}",
            number=top.text("number"),
            status=status,
            placed_at=placed,
            modified_at=modified,
            total=Money(top.amount("total"), top.text("currency")),
            refunded=sum(refunds, Decimal(0)),
            paid=top.moment("date_paid_gmt") is not None,
        )
    except (BadPayload, ValueError, ArithmeticError):  # it is an exception already when it comes as a receipt
        return None


async def shelf(client: Client, shop: ShopFacts, wanted: Sequence[tuple[str, str]]) -> list[Shelf | None]:
    """How the shop shows each (SKU, link): by its link where there is one, as operations do. Raises Failure."""
    facts = await shop.facts()
    by_sku = await rows_by_sku(client, {sku for sku, _ in wanted}, SHELF)
    places = {link: place for _, link in wanted if (place := place_of(link)) is not None}
    rows = {place_of_row(row).link: row for found in by_sku.values() for row in found}
    rows |= await _linked(client, [place for link, place in places.items() if link not in rows])
    told: list[Shelf | None] = []
    for sku, link in wanted:
        found = [rows[link]] if link in rows else by_sku.get(sku, []) if sku else []
        if len(found) > 1:
            told.append(Shelf("", unclear=f"the shop has several products with the SKU {sku}"))
        elif not found or found[0].get("type") not in ("simple", "variation"):
            told.append(None)
        else:
            row = found[0]
            counted = row.get("manage_stock") is True
            told.append(
                Shelf(
                    place_of_row(row).link,
                    _number(row.get("stock_quantity")) if counted else None,
                    _number(row.get("regular_price")),
                    _number(row.get("sale_price")),
                    facts.currency,
                    facts.decimals,
                    facts.with_tax,
                )
            )
    return told


async def _linked(client: Client, places: Sequence[Place]) -> dict[str, Row]:
    """What is linked but has another SKU by now; what is gone is left out."""
    simple = [place.product for place in places if not place.variation]
    rows = {str(n): row for n, row in (await rows_by_id(client, simple, SHELF)).items()} if simple else {}
    parents: dict[int, list[int]] = {}
    for place in places:
        if place.variation:
            parents.setdefault(place.product, []).append(place.variation)
    there = await rows_by_id(client, parents, "status") if parents else {}
    for parent in there:
        include = ",".join(map(str, parents[parent][:IDS]))
        path, fields = f"products/{parent}/variations", f"id,sku,{SHELF}"
        async for row in pages(client, path, include=include, _fields=fields):
            rows[f"{parent}/{row['id']}"] = {**row, "type": "variation", "parent_id": parent}
    return rows


def _number(value: Any) -> Decimal | None:
    """A price or quantity as the shop sends it: text, number, or nothing."""
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None
