"""The order table (docs/order-table.md) as data: each row with what happens, and what must stand on both sides then.

All rows are played at once through one whole hub: every row has an order of its own. Between two phases the hub comes
to rest. The same table runs on the stand-ins and, its main rows, on a real Odoo.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import exceptions
from counterfoil.hub.views import money
from counterfoil.hub.views.money import Item
from counterfoil_lab import warehouse
from counterfoil_lab.agreement import judge, read_erp, read_shop
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.resting import at_rest, feeds_of
from counterfoil_lab.stage import SHOP_KEYS, OdooPlace
from counterfoil_sandbox.woocommerce import RECORDINGS, Shop, make_order

SHOP = "web"
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Life:
    """One order and the two places it lives in."""

    shop: Shop
    odoo: Odoo
    number: int

    @property
    def origin(self) -> str:
        """Its id across all systems."""
        return f"{SHOP}:order:{self.number}"

    @property
    def now(self) -> dict[str, Any]:
        """As the shop has it."""
        return self.shop.order(self.number)

    def erp(self, *fields: str) -> dict[str, Any]:
        """Its sale.order."""
        return self.odoo.read("sale.order", [["origin", "=", self.origin]], list(fields) or ["state"])[0]


Act = Callable[[Life], object]


# --- what people do --------------------------------------------------------------------------------------------------


def status(to: str) -> Act:
    """The shop's order goes to another status."""
    return lambda life: life.shop.change(life.number, status=to)


def amend_address(life: Life) -> None:
    life.shop.change(life.number, shipping=life.now["shipping"] | {"address_1": "7 New Street", "city": "Elsewhere"})


def amend_quantity(life: Life) -> None:
    """One piece more of the first line."""
    order = life.now
    line = dict(order["line_items"][0])
    pieces = line["quantity"]
    net = (Decimal(line["total"]) / pieces).quantize(CENT)
    tax = (Decimal(line["total_tax"]) / pieces).quantize(CENT)
    line |= {"quantity": pieces + 1, "total": f"{Decimal(line['total']) + net}"}
    line |= {"subtotal": line["total"], "total_tax": f"{Decimal(line['total_tax']) + tax}"}
    line["taxes"] = [t | {"total": line["total_tax"], "subtotal": line["total_tax"]} for t in line["taxes"]]
    rate = order["tax_lines"][0]
    life.shop.change(
        life.number,
        line_items=[line, *order["line_items"][1:]],
        tax_lines=[rate | {"tax_total": f"{Decimal(rate['tax_total']) + tax}"}, *order["tax_lines"][1:]],
        total_tax=f"{Decimal(order['total_tax']) + tax}",
        total=f"{Decimal(order['total']) + net + tax}",
    )


def refund_line(life: Life) -> None:
    """The whole first line is given back."""
    line = life.now["line_items"][0]
    life.shop.refund(life.number, Decimal(line["total"]) + Decimal(line["total_tax"]), "", lines=[line["id"]])


def refund_amount(life: Life) -> None:
    life.shop.refund(life.number, "1.50", "goodwill")


def refund_all(life: Life) -> None:
    life.shop.refund(life.number, life.now["total"], "all of it")


def ship(life: Life) -> None:
    """Everything leaves, with a tracking number."""
    there = [p["id"] for p in warehouse.open_shipments(life.odoo, [life.origin])]
    warehouse.ship(life.odoo, there, {number: f"TRACK{number}" for number in there})


def ship_a_part(life: Life) -> None:
    for picking in warehouse.open_shipments(life.odoo, [life.origin]):
        assert warehouse.ship_a_part(life.odoo, picking)


def send_back(life: Life) -> None:
    """The goods come back to the warehouse."""
    domain = [["sale_id.origin", "=", life.origin], ["state", "=", "done"], ["picking_type_code", "=", "outgoing"]]
    for picking in life.odoo.read("stock.picking", domain, ["id"]):
        warehouse.take_back(life.odoo, picking["id"])


def confirm_in_odoo(life: Life) -> None:
    """Somebody saw the bank transfer and confirmed the quotation."""
    life.odoo.call("sale.order", "action_confirm", ids=[life.erp("id")["id"]], context=warehouse.QUIET)


def cancel_in_odoo(life: Life) -> None:
    life.odoo.call("sale.order", "action_cancel", ids=[life.erp("id")["id"]], context=warehouse.QUIET)


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What the shop says first, what is done then (one act a phase), and what must stand in the end.

    `odoo` is the sale.order's state, None for none; `paid` the money recorded (1: the total), `credited` the sum of
    posted credit notes; `sent` whether goods left, `to_ship` False where nothing may be left to ship; `told` words the
    shop's notes must hold;
    `person` the reason of the exception.
    """

    name: str
    says: str
    acts: tuple[Act, ...] = ()
    odoo: str | None = "sale"
    shop: str = "processing"
    paid: bool = True
    credited: Callable[[dict[str, Any]], Decimal] | None = None
    sent: bool = False
    to_ship: bool = True
    person: str = ""
    told: tuple[str, ...] = ()
    real: bool = False
    apart: bool = False  # by the table the two differ here: left out of the independent verdict
    before: dict[str, Any] = field(default_factory=dict)


def _total(order: dict[str, Any]) -> Decimal:
    return Decimal(order["total"])


def _first_line(order: dict[str, Any]) -> Decimal:
    line = order["line_items"][0]
    return Decimal(line["total"]) + Decimal(line["total_tax"])


def _goodwill(_order: dict[str, Any]) -> Decimal:
    return Decimal("1.50")


NEVER_ACCEPTED = (
    Row("checkout-draft", "checkout-draft", odoo=None, shop="checkout-draft", paid=False),
    Row("trash", "trash", odoo=None, shop="trash", paid=False),
    Row("pending", "pending", odoo=None, shop="pending", paid=False),
    Row("failed", "failed", odoo=None, shop="failed", paid=False),
    Row("on-hold", "on-hold", odoo="draft", shop="on-hold", paid=False, real=True),
    Row("processing", "processing", real=True),
    Row("completed: shipped outside Odoo", "completed", shop="completed", person="shipped_outside"),
    Row("cancelled", "cancelled", odoo=None, shop="cancelled", paid=False),
    Row("pending, then paid", "pending", (status("processing"),), real=True),
    Row("pending, then cancelled", "pending", (status("cancelled"),), odoo=None, shop="cancelled", paid=False),
    Row("pending, amended, then paid", "pending", (amend_quantity, status("processing"))),
    Row("pending, refunded", "pending", (refund_amount,), odoo=None, shop="pending", paid=False),
)
ACCEPTED = (
    Row("on-hold, then paid", "on-hold", (status("processing"),), real=True),
    Row("on-hold, then cancelled", "on-hold", (status("cancelled"),), odoo="cancel", shop="cancelled", paid=False),
    Row("on-hold, payment failed", "on-hold", (status("failed"),), odoo="draft", shop="failed", paid=False),
    Row("payment lost", "processing", (status("pending"),), shop="pending", person="payment_lost"),
    Row("put on hold again", "processing", (status("on-hold"),), shop="on-hold"),
    Row("trash", "processing", (status("trash"),), odoo="cancel", shop="trash"),
    Row(
        "trash after shipping",
        "processing",
        (ship, status("trash")),
        shop="trash",
        person="cancelled_after_shipping",
        sent=True,
    ),
    Row("cancelled", "processing", (status("cancelled"),), odoo="cancel", shop="cancelled", real=True),
    Row(
        "cancelled after shipping",
        "processing",
        (ship, status("cancelled")),
        shop="cancelled",
        person="cancelled_after_shipping",
        sent=True,
    ),
    Row("completed by hand", "processing", (status("completed"),), shop="completed", person="shipped_outside"),
    Row("address changed", "processing", (amend_address,), real=True),
    Row("quantity changed", "processing", (amend_quantity,), real=True),
    Row(
        "quantity changed after shipping",
        "processing",
        (ship, amend_quantity),
        shop="completed",
        person="changed_after_shipping",
        sent=True,
    ),
    Row("refunded by amount", "processing", (refund_amount,), credited=_goodwill, real=True),
    Row("refunded by line, not shipped", "processing", (refund_line,), credited=_first_line),
    Row(
        "refunded by line, shipped",
        "processing",
        (ship, refund_line),
        shop="completed",
        credited=_first_line,
        sent=True,
        real=True,
    ),
    Row(
        "refunded in full, not shipped",
        "processing",
        (refund_all,),
        shop="refunded",
        credited=_total,
        to_ship=False,
        real=True,
    ),
    Row("refunded in full, shipped", "processing", (ship, refund_all), shop="refunded", credited=_total, sent=True),
)
FROM_ODOO = (
    Row("confirmed in Odoo", "on-hold", (confirm_in_odoo,), paid=False, shop="processing", apart=True),
    Row("cancelled in Odoo", "processing", (cancel_in_odoo,), odoo="cancel", shop="cancelled"),
    Row(
        "shipped", "processing", (ship,), shop="completed", sent=True, to_ship=False, told=("TRACK", "INV/"), real=True
    ),
    Row("shipped in part", "processing", (ship_a_part,), sent=True, told=("OUT/",), real=True),
    Row(
        "shipped in two parts",
        "processing",
        (ship_a_part, ship),
        shop="completed",
        sent=True,
        told=("TRACK", "OUT/"),
        real=True,
    ),
    Row("sent back", "processing", (ship, send_back), shop="completed", sent=True, told=("TRACK", "IN/"), real=True),
)
ROWS = tuple(
    (kind, row)
    for kind, rows in (("never accepted", NEVER_ACCEPTED), ("accepted", ACCEPTED), ("from Odoo", FROM_ODOO))
    for row in rows
)


# --- playing it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Played:
    """What stands in the end, by row: the shop's order, Odoo's, the exceptions, the money that waits to be matched, and
    the independent verdict."""

    numbers: dict[tuple[str, str], int]
    shop: dict[int, dict[str, Any]]
    notes: dict[int, list[str]]
    sale: dict[int, list[dict[str, Any]]]
    persons: dict[int, list[str]]
    words: list[str]  # of every open exception
    money: list[Item]
    verdict: dict[str, Any]


def _wanted(order: dict[str, Any]) -> bool:
    lines = order["line_items"]
    one_rate = len(order["tax_lines"]) == 1 and all(len(line["taxes"]) == 1 for line in lines)
    return len(lines) >= 2 and order["currency"] == "EUR" and one_rate and all(Decimal(i["total"]) > 2 for i in lines)


def _placed(shop: Shop, rows: list[tuple[str, Row]]) -> Iterator[tuple[tuple[str, str], int]]:
    for place, (kind, row) in enumerate(rows):
        says = row.says if row.says != "trash" else "pending"
        order = make_order(5000 + place, status=says, only=_wanted, folder=RECORDINGS)
        order["payment_method"] = "bacs"  # money that arrives before the goods leave
        number = shop.place(order)["id"]
        if order["status"] in ("processing", "completed") and not shop.order(number)["date_paid"]:
            shop.change(number, date_paid=order["date_created"], date_paid_gmt=order["date_created_gmt"])
        if row.says == "trash":
            shop.delete(number)
        yield (kind, row.name), number


async def rest(running: Hub, shop: Shop) -> None:
    """Until every quick feed has looked once more, webhooks are out, and nothing is due or in flight."""
    since, feeds = time.time(), feeds_of(running.connectors, 5.0)
    async with asyncio.timeout(90):
        await asyncio.to_thread(shop.drain, 10)
        while not await at_rest(running.store, feeds, since):  # noqa: ASYNC110 - both systems are asked from outside
            await asyncio.sleep(0.1)


async def play(file: Path, shop: Shop, shop_url: str, place: OdooPlace, rows: list[tuple[str, Row]]) -> Played:
    """Play these rows through a whole hub; what stands in the end."""
    odoo = place.api
    articles = odoo.read("product.product", [odoo.names.stocked()], ["id"])
    await asyncio.to_thread(warehouse.count_stock, odoo, {p["id"]: 1000 for p in articles})
    async with hub(load(file)) as running:
        connector = running.connectors[SHOP]
        assert isinstance(connector, WooCommerce)
        await connector.ensure_webhooks(running.url)
        numbers = dict(await asyncio.to_thread(lambda: list(_placed(shop, rows))))
        await rest(running, shop)
        for phase in range(max(len(row.acts) for _, row in rows)):
            for kind, row in rows:
                if phase < len(row.acts):
                    await asyncio.to_thread(row.acts[phase], Life(shop, odoo, numbers[(kind, row.name)]))
            await rest(running, shop)
        persons: dict[int, list[str]] = {}
        listed = await exceptions.listing(running.store)
        waits = (await money.waiting(running.store)).items
        words = [f"{one['subject']} {one['operation']} {one['reason']}: {one['message']}" for one in listed]
        for one in listed:
            if str(one["subject"]).startswith(f"{SHOP}:order:"):
                persons.setdefault(int(str(one["subject"]).rpartition(":")[2]), []).append(str(one["reason"]))
    erp = await asyncio.to_thread(read_erp, odoo, SHOP)
    there = await asyncio.to_thread(read_shop, shop_url, *SHOP_KEYS)
    sale: dict[int, list[dict[str, Any]]] = {number: [] for number in numbers.values()}
    for row in odoo.read("sale.order", [["origin", "=like", f"{SHOP}:order:%"]], ["origin", "name", "state"]):
        number = row["origin"].rpartition(":")[2]
        credits = [sum(erp.credits.get(str(r["id"]), [Decimal(0)])) for r in there.refunds.get(number, [])]
        paid = erp.orders[number][0].paid
        sent = sum(erp.sent.get(number, {}).values())
        sale.setdefault(int(number), []).append(
            row | {"credited": sum(credits), "paid": paid, "delivered": sent, "to_ship": erp.open_shipments[number]}
        )
    return Played(
        numbers,
        {number: shop.order(number) for number in numbers.values()},
        {number: [n["note"] for n in shop.notes(number)] for number in numbers.values()},
        sale,
        persons,
        words,
        list(waits),
        judge(there, erp, {str(n) for n in persons} | {str(numbers[k, r.name]) for k, r in rows if r.apart}),
    )


def compare(row: Row, number: int, played: Played) -> dict[str, Any]:
    """What differs from the row; empty when it stands as it should."""
    order, found = played.shop[number], played.sale[number]
    expected: dict[str, Any] = {"shop": row.shop, "odoo": row.odoo, "person": [row.person] if row.person else []}
    actual: dict[str, Any] = {"shop": order["status"], "person": played.persons.get(number, [])}
    actual["odoo"] = found[0]["state"] if found else None
    if found:
        expected["orders"], actual["orders"] = 1, len(found)
        if not row.person:
            expected["paid"], actual["paid"] = Decimal(order["total"]) if row.paid else Decimal(0), found[0]["paid"]
        if not row.to_ship:
            expected["to ship"], actual["to ship"] = 0, found[0]["to_ship"]
        expected["credited"] = row.credited(order) if row.credited else Decimal(0)
        actual["credited"] = found[0]["credited"]
        expected["sent"], actual["sent"] = row.sent, found[0]["delivered"] > 0
    words = "\n".join([*played.notes[number], json.dumps(order["meta_data"])])
    differs = {k: f"{actual[k]} for {expected[k]}" for k in expected if expected[k] != actual[k]}
    missing = [word for word in row.told if word not in words]
    return differs | ({"not told": missing} if missing else {})
