"""Odoo's rows in the retail language: decode(raw) → Observed. Pure; raises BadPayload on what makes no sense.

The version of what was read is the time of reading by Odoo's own clock: Odoo has no number that grows with each
change of a whole object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.fulfilments import CANONICAL
from counterfoil.connectors.odoo.mapping import ADDRESS, ORDER_STATES, SHIPMENT_STATES
from counterfoil.connectors.odoo.translate import shop_line
from counterfoil.connectors.odoo.watching import moment_of, number
from counterfoil.hub.contract import BadPayload, Observed, Raw
from counterfoil.retail.appointment import CalendarWeek, Engagement
from counterfoil.retail.entity import Entity
from counterfoil.retail.fulfilment import (
    FulfilledLine,
    Fulfilment,
    Invoice,
    Packed,
    Shipment,
    ShipmentState,
)
from counterfoil.retail.money import Money
from counterfoil.retail.party import Account, Address, Customer
from counterfoil.retail.product import ChannelPrice, Image, Place, Product, SalePrice, StockLevel, Variant

IMAGE_URL = "{url}/web/image/{model}/{id}/image_1024"
"""Odoo serves it without signing in only what is published; shops elsewhere need `image_url` to say where from."""

Body = Mapping[str, Any]


def picture_template(system: str, template: str) -> str:
    """The setting `image_url` if it can be filled in. Raises ValueError."""
    known = ("url", "model", "id", "digest", "sku")
    try:
        template.format(**dict.fromkeys(known, ""))
    except (ValueError, KeyError, IndexError) as error:
        expected = " ".join(f"{{{name}}}" for name in known)
        raise ValueError(
            f"systems.{system}.image_url: found {template!r}, expected an address with {expected}"
        ) from error
    return template


def decode(system: str, raw: Raw, url: str = "", image_url: str = "") -> Observed:
    """The object of a receipt. `url` is Odoo's address, `image_url` a template for pictures. Raises BadPayload."""
    readers: dict[str, Callable[[Body], Entity]] = {
        "fulfilment": lambda body: fulfilment(body, url),
        "stock": lambda body: stock_level(system, body),
        "product": lambda body: product(system, body, image_url or IMAGE_URL, url),
        "customer": lambda body: account(system, body),
        "calendar": lambda body: calendar_week(system, body),
    }
    if raw.kind not in readers:
        raise BadPayload("not_expected", f"Nothing of the kind {raw.kind!r} is expected to arrive from Odoo.")
    try:
        body = json.loads(raw.body, parse_float=Decimal)
        state = readers[raw.kind](body)
        read_at = str(raw.headers["read_at"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        raise BadPayload(
            "unreadable",
            f"What was read from Odoo ({raw.kind} {raw.object_id:.60}) makes no sense: {type(error).__name__}.",
            "A customisation of Odoo is likely: run `counterfoil doctor`.",
        ) from error
    return Observed(raw.kind, raw.object_id, read_at, state)


# --- orders -----------------------------------------------------------------------------------------------------


def fulfilment(body: Body, url: str = "") -> Fulfilment:
    """The ERP's side of an order. Raises ValueError and the like."""
    order = body["order"]
    lines = {row["id"]: row for row in body["lines"]}
    articles = {int(id_): article for id_, article in body["articles"].items()}
    prefix = _prefix(order["origin"])
    return Fulfilment(
        order=order["origin"],
        id=str(order["id"]),
        number=order["name"],
        state=ORDER_STATES[order["state"]],
        lines=_lines(body["lines"], articles, prefix),
        shipments=tuple(
            shipment for row in body["pickings"] for shipment in _shipments(row, body["moves"], lines, articles, prefix)
        ),
        invoices=tuple(_invoice(row, url) for row in body["invoices"] if row["state"] == "posted"),
    )


def _prefix(origin: str) -> str:
    """What the external ids of this order's lines begin with."""
    parts = CANONICAL.fullmatch(origin)
    if parts is None:
        raise ValueError("no canonical order id")
    return f"{parts['system']}_order_{parts['id']}_line_"


def _shop_line(row: Body | None, prefix: str) -> str:
    """The shop's id of a line, '' for one that the ERP or its people added."""
    name = str(row["external_id"]) if row else ""
    return shop_line(name).partition("_part_")[0] if name.startswith(prefix) else ""


def _lines(rows: list[Body], articles: Mapping[int, Body], prefix: str) -> tuple[FulfilledLine, ...]:
    """One for each line of the shop, which may stand in Odoo in parts, and for each that the ERP added."""
    found: dict[str, FulfilledLine] = {}
    for row in rows:
        article = articles.get(number(row["product_id"]))
        line = FulfilledLine(
            line=_shop_line(row, prefix),
            sku=article["sku"] if article else "",
            ordered=_quantity(row["product_uom_qty"]),
            delivered=_quantity(row["qty_delivered"]),
            invoiced=_quantity(row["qty_invoiced"]),
            shippable=bool(article and not article["service"]),
        )
        key = line.line or f"added {row['id']}"
        known = found.get(key)
        if known is not None:
            sums = {name: getattr(known, name) + getattr(line, name) for name in ("ordered", "delivered", "invoiced")}
            line = (known if known.ordered else line).model_copy(update=sums)
        found[key] = line
    return tuple(found.values())


def _shipments(
    picking: Body, moves: list[Body], lines: Mapping[int, Body], articles: Mapping[int, Body], prefix: str
) -> list[Shipment]:
    """The picking as a shipment or a return; none where it only moves goods within the house, or is empty."""
    state = SHIPMENT_STATES.get(picking["state"], ShipmentState.OPEN)
    own = [move for move in moves if number(move["picking_id"]) == picking["id"]]
    live = [move for move in own if move["state"] != "cancel" or state is ShipmentState.CANCELLED]
    ways = {move["way"] for move in live}
    returned = "back" in ways and "out" not in ways
    counted = {"back"} if returned else {"out"} | ({"later"} if state is ShipmentState.OPEN else set())
    items: dict[tuple[str, str, str], Packed] = {}
    for move in live:
        quantity = _quantity(move["done"] if state is ShipmentState.DONE else move["product_uom_qty"])
        if move["way"] in counted and quantity > 0:
            article = articles.get(number(move["product_id"]), {"sku": ""})
            line = lines.get(number(move["sale_line_id"]))
            name = str(line["name"]).partition("\n")[0] if line else ""
            packed = Packed(sku=article["sku"], quantity=quantity, line=_shop_line(line, prefix), name=name)
            key = (packed.line, packed.sku, packed.name)
            known = items.get(key)
            items[key] = packed.model_copy(update={"quantity": quantity + known.quantity}) if known else packed
    if not items:
        return []
    carrier = picking.get("carrier_id")
    done_at = picking["date_done"] if state is ShipmentState.DONE else None
    return [
        Shipment(
            id=str(picking["id"]),
            number=picking["name"],
            state=state,
            returned=returned,
            carrier=carrier[1] if carrier else "",
            tracking=picking.get("carrier_tracking_ref") or "",
            tracking_url=_link(picking.get("carrier_tracking_url")),
            done_at=datetime.fromisoformat(done_at).replace(tzinfo=UTC) if done_at else None,
            # the back-order of a pick within the house follows no shipment
            follows=str(number(picking["backorder_id"]) or "") if ways & {"out", "back"} else "",
            place=str(picking.get("place", "")),
            ready="out" in ways and all(move["state"] == "assigned" for move in live),
            items=tuple(items.values()),
        )
    ]


def _link(text: Any) -> str:
    """A web address; some carriers' modules give a list of them as JSON, which is for nobody to read."""
    return text if isinstance(text, str) and text.startswith(("http://", "https://")) else ""


def _invoice(row: Body, url: str) -> Invoice:
    token = row["access_token"]
    # without its token the page asks for a login that most customers of a shop do not have
    link = f"{url.rstrip('/')}{row['access_url']}?access_token={token}" if url and token and row["access_url"] else ""
    return Invoice(
        id=str(row["id"]),
        number=row["name"],
        credit=row["move_type"] == "out_refund",
        total=_money(row["amount_total"], row["currency_id"][1]),
        paid=not row["amount_residual"],
        dated=row["invoice_date"] or "",
        url=link,
    )


# --- stock, products, customers -----------------------------------------------------------------------------------


def stock_level(system: str, body: Body) -> StockLevel:
    """How many of an article stand where; below zero as Odoo has it. Raises ValueError and the like."""
    return StockLevel(
        system=system,
        id=str(int(body["id"])),
        sku=body["sku"],
        places=tuple(
            Place(warehouse=code, on_hand=_quantity(on_hand), outgoing=_quantity(outgoing), incoming=_quantity(coming))
            for code, (on_hand, outgoing, coming) in sorted(body["places"].items())
        ),
    )


def product(system: str, body: Body, image_url: str, url: str = "") -> Product:
    """A product with its variants. `image_url` may name {url} {model} {id} {digest} {sku}. Raises ValueError etc."""
    digest = body["image"]
    named = {"url": url.rstrip("/"), "sku": ""}
    picture = {"model": "product.template", "id": body["id"], "digest": digest}
    return Product(
        system=system,
        id=str(int(body["id"])),
        name=body["name"],
        description=body["description"],
        sellable=body["sellable"],
        tracked=body["tracked"],
        tax_class=" + ".join(tax["name"] for tax in body["taxes"]),
        prices_include_tax=any(tax["included"] for tax in body["taxes"]),
        category=tuple(body["category"]),
        image=Image(digest=digest, url=image_url.format(**named, **picture)) if digest else None,
        # bodies kept by earlier versions have none
        costs=tuple((str(int(row["id"])), Decimal(row["cost"])) for row in body["variants"] if row.get("cost")),
        kits=tuple(
            (str(int(row["id"])), tuple((str(int(part)), Decimal(units)) for part, units in row["parts"]))
            for row in body["variants"]
            if row.get("parts")
        ),
        variants=tuple(_variant(row, image_url, named) for row in body["variants"]),
    )


def _variant(row: Body, image_url: str, named: Mapping[str, str]) -> Variant:
    digest = row["image"]
    picture = {"model": "product.product", "id": row["id"], "digest": digest, "sku": row["sku"]}
    return Variant(
        id=str(int(row["id"])),
        sku=row["sku"],
        gtin=row["gtin"],
        options=tuple((attribute, value) for attribute, value in row["options"]),
        price=_money(row["price"], row["currency"]),
        sale=_sale(row),
        prices=tuple(
            ChannelPrice(channel=shop, price=_money(own["price"], own["currency"]), sale=_sale(own))
            for shop, own in row.get("channels", {}).items()
        ),
        weight=_quantity(row["weight"]) or None,
        image=Image(digest=digest, url=image_url.format(**{**named, **picture})) if digest else None,
        active=row["active"],
    )


def _sale(row: Body) -> SalePrice | None:
    if "sale" not in row:
        return None
    return SalePrice(
        price=_money(row["sale"], row["currency"]),
        starts_at=datetime.fromisoformat(row["starts"]) if row["starts"] else None,
        ends_at=datetime.fromisoformat(row["ends"]) if row["ends"] else None,
    )


def account(system: str, body: Body) -> Account:
    """A customer with the addresses for invoice and delivery, its own where it has no others. Raises ValueError etc."""
    home = _address(body["home"])
    company = body["name"] if body["is_company"] else ""
    return Account(
        system=system,
        id=str(int(body["id"])),
        customer=Customer(
            id=str(int(body["id"])),
            email=body["email"],
            name=body["name"],
            company=company,
            phone=body["phone"],
            vat=body["vat"],
        ),
        billing=_address(body["invoice"]) if body["invoice"] else home,
        shipping=_address(body["delivery"]) if body["delivery"] else Address(),
        extra={name: _own(value) for name, value in body.get("own", {}).items()},
    )


def _own(value: Any) -> bool | int | str:
    """Of a record it points to, what that is called; a number with a fraction as text."""
    value = value[1] if isinstance(value, list) and len(value) == 2 else value
    return value if isinstance(value, bool | int | str) else str(value)


def calendar_week(system: str, body: Body) -> CalendarWeek:
    """A week of a user's calendar. Of a whole day the times mean nothing. Raises ValueError and the like."""
    return CalendarWeek(
        system=system,
        id=f"{int(body['number'])}@{body['week']}",
        user=body["user"],
        week=date.fromisoformat(body["week"]),
        engagements=tuple(_engagement(row) for row in body["engagements"]),
    )


def _engagement(row: Body) -> Engagement:
    times: dict[str, Any]
    if row["allday"]:
        times = {"first_day": row["start"][:10], "last_day": row["stop"][:10]}
    else:
        times = {"starts_at": moment_of(row["start"]), "ends_at": moment_of(row["stop"])}
    return Engagement(id=str(int(row["id"])), appointment=row["appointment"], **times)


def _address(row: Body) -> Address:
    return Address(**{ours: row[theirs.removesuffix("_id")] for ours, theirs in ADDRESS.items()})


def _quantity(value: Any) -> Decimal:
    """A quantity as Odoo shows it, without the noise of its floats and without trailing noughts."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("no number")
    quantity = round(Decimal(value), 6)
    if not quantity.is_finite():
        raise ValueError("no number")
    return Decimal(0) if not quantity else Decimal(f"{quantity.normalize():f}")


def _money(value: Any, currency: str) -> Money:
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError("no amount")
    return Money(amount, currency)
