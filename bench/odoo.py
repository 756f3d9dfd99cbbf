"""How fast orders get into one Odoo 19 with 2 workers: a plain script, Odoo's own ORM, Counterfoil.

500 orders of 3 lines over 500 products, the same spread and the same work in all three: customer, named lines,
tracking off, confirmed, payment posted. The clock stops when Odoo itself counts 500 confirmed and 500 paid.
A fresh database for each run, durability on, median of the rounds. Last line: one JSON object.

    python bench/odoo.py [--orders 500] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from counterfoil.doors.assembly import connectors, load, worker
from counterfoil.hub.contract import Raw
from counterfoil.hub.receipts import Arrival, take
from counterfoil.hub.store import open_store
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.stage import REPOSITORY, NoOdoo, OdooPlace, blueprint, real_odoo
from counterfoil_sandbox.woocommerce_orders import make_order

PRODUCTS = 500
PRICE, TAX = "10.00", "2.00"
QUIET = {"tracking_disable": True, "mail_create_nolog": True, "mail_notrack": True, "mail_create_nosubscribe": True}
SHELL_BATCH = 50
"""The best of 1, 20, 50 and 100 for the ORM in one process."""


def spread(orders: int) -> list[list[int]]:
    """Which three products each order has; the same in every run."""
    dice = random.Random(20)
    return [dice.sample(range(PRODUCTS), 3) for _ in range(orders)]


def prepare(odoo: Odoo) -> dict[str, Any]:
    """500 storable products, one tax of 20 %, a journal; their numbers."""
    rows = [[f"bench.p{i}", f"Product {i}", f"BENCH-{i:03}", "consu", "True", "1000"] for i in range(PRODUCTS)]
    products = odoo.load(
        "product.product", ["id", "name", "default_code", "type", "is_storable"], [r[:5] for r in rows]
    )
    company = odoo.read("res.company", [], ["currency_id", "account_fiscal_country_id"])[0]
    country = odoo.read("res.country", [["id", "=", company["account_fiscal_country_id"][0]]], ["code"])[0]
    taxes = odoo.read("account.tax", [["type_tax_use", "=", "sale"], ["amount", "=", 20]], ["country_id"])
    taxes = [t["id"] for t in taxes if t["country_id"] and t["country_id"][0] == country["id"]]
    if len(taxes) != 1:
        group = odoo.load(
            "account.tax.group", ["id", "name", "country_id/.id"], [["bench.g", "20", str(country["id"])]]
        )
        row = ["bench.tax", "20% bench", "20", "sale", "tax_excluded", str(country["id"]), str(group[0])]
        fields = [
            "id",
            "name",
            "amount",
            "type_tax_use",
            "price_include_override",
            "country_id/.id",
            "tax_group_id/.id",
        ]
        taxes = odoo.load("account.tax", fields, [row])
    journal = odoo.read("account.journal", [["type", "=", "bank"]], ["code"])[0]
    return {
        "products": products,
        "tax": taxes[0],
        "journal": journal["id"],
        "journal_code": journal["code"],
        "country": country["code"],
        "currency": company["currency_id"],
    }


def finished(odoo: Odoo) -> int:
    """What Odoo itself counts as confirmed and paid, the lesser of the two."""
    confirmed = odoo.call("sale.order", "search_count", domain=[["state", "=", "sale"]])
    paid = odoo.call("account.payment", "search_count", domain=[["state", "in", ["in_process", "paid"]]])
    return int(min(confirmed, paid))


def plain(odoo: Odoo, known: dict[str, Any], orders: list[list[int]]) -> None:
    """The best plain script: one order at a time, five calls each, nothing looked up twice."""
    for number, products in enumerate(orders):
        who = {"name": f"Customer {number}", "email": f"c{number}@bench.test"}
        partner = odoo.call("res.partner", "create", vals_list=[who], context=QUIET)[0]
        taxed = {"product_uom_qty": 1, "price_unit": 10.0, "tax_ids": [[6, 0, [known["tax"]]]]}
        lines = [[0, 0, {"product_id": known["products"][p], "name": f"Product {p}", **taxed}] for p in products]
        values = {"partner_id": partner, "client_order_ref": str(number), "order_line": lines}
        order = odoo.call("sale.order", "create", vals_list=[values], context=QUIET)[0]
        odoo.call("sale.order", "action_confirm", ids=[order], context=QUIET)
        payment = {
            "partner_id": partner,
            "amount": 36.0,
            "journal_id": known["journal"],
            "payment_type": "inbound",
            "partner_type": "customer",
            "memo": str(number),
        }
        created = odoo.call("account.payment", "create", vals_list=[payment], context=QUIET)
        odoo.call("account.payment", "action_post", ids=created, context=QUIET)


ORM = """
import json, time
known = json.loads({known!r}); orders = json.loads({orders!r}); quiet = json.loads({quiet!r}); size = {size}
env = env(context=dict(env.context, **quiet))
started = time.monotonic()
for start in range(0, len(orders), size):
    part = list(enumerate(orders))[start:start + size]
    people = [{{'name': f'Customer {{n}}', 'email': f'c{{n}}@bench.test'}} for n, _ in part]
    partners = env['res.partner'].create(people)
    made = env['sale.order'].create([{{
        'partner_id': partner.id, 'client_order_ref': str(n),
        'order_line': [(0, 0, {{'product_id': known['products'][p], 'name': f'Product {{p}}', 'product_uom_qty': 1,
                               'price_unit': 10.0, 'tax_ids': [(6, 0, [known['tax']])]}}) for p in products],
    }} for partner, (n, products) in zip(partners, part)])
    made.action_confirm()
    payments = env['account.payment'].create([{{
        'partner_id': partner.id, 'amount': 36.0, 'journal_id': known['journal'], 'payment_type': 'inbound',
        'partner_type': 'customer', 'memo': str(n)}} for partner, (n, _) in zip(partners, part)])
    payments.action_post()
    env.cr.commit()
print('SECONDS', time.monotonic() - started)
"""


def orm(database: str, known: dict[str, Any], orders: list[list[int]], size: int = SHELL_BATCH) -> float:
    """Odoo's ORM in-process, in batches, one process; its own seconds, without the start of the shell."""
    program = ORM.format(known=json.dumps(known), orders=json.dumps(orders), quiet=json.dumps(QUIET), size=size)
    done = script("shell", database, text=program)
    line = next(line for line in done.stdout.splitlines() if "SECONDS" in line)
    return float(line.split()[-1])


def shop_order(number: int, products: list[int], known: dict[str, Any]) -> dict[str, Any]:
    """The same order as a WooCommerce shop states it: three lines of 10.00 and 20 % tax, paid."""
    order = make_order(number)
    rate = {"id": 1, "rate_code": f"{known['country']}-VAT-1", "rate_id": 1, "label": "VAT", "compound": False}
    rate |= {"tax_total": "6.00", "shipping_tax_total": "0.00", "rate_percent": 20}
    template = order["line_items"][0]
    lines = [
        template
        | {"id": number * 10 + i + 1, "name": f"Product {p}", "product_id": p + 1, "variation_id": 0, "quantity": 1}
        | {"tax_class": "", "subtotal": PRICE, "subtotal_tax": TAX, "total": PRICE, "total_tax": TAX}
        | {"taxes": [{"id": 1, "total": "2", "subtotal": "2"}], "sku": f"BENCH-{p:03}", "price": 10}
        for i, p in enumerate(products)
    ]
    address = dict.fromkeys(order["billing"], "")
    who = {"first_name": "Customer", "last_name": str(number), "email": f"c{number}@bench.test"}
    order |= {"id": number + 1, "number": str(number + 1), "status": "processing", "currency": known["currency"][1]}
    order |= {"line_items": lines, "tax_lines": [rate], "shipping_lines": [], "fee_lines": [], "coupon_lines": []}
    order |= {"refunds": [], "total": "36.00", "total_tax": "6.00", "customer_id": 0}
    order |= {"discount_total": "0.00", "discount_tax": "0.00", "shipping_total": "0.00", "shipping_tax": "0.00"}
    order |= {"billing": address | who, "shipping": dict.fromkeys(order["shipping"], ""), "payment_method": "bacs"}
    order |= {"date_paid": order["date_created"], "date_paid_gmt": order["date_created_gmt"]}
    return order


async def counterfoil(place: OdooPlace, known: dict[str, Any], orders: list[list[int]]) -> tuple[float, dict[str, str]]:
    """From the committed receipts to Odoo; its seconds and the durability it ran under."""
    with tempfile.TemporaryDirectory() as folder:
        plan = load(blueprint(Path(folder), place, note_orders=False, journals={"bacs": known["journal_code"]}))
        store = await open_store(plan.store.reveal())
        made = connectors(plan)
        try:
            async with store.write() as connection:
                bodies = [shop_order(n, products, known) for n, products in enumerate(orders)]
                raws = [Raw("order", str(b["id"]), json.dumps(b).encode()) for b in bodies]
                await take(connection, store, [Arrival("web", "import", raw) for raw in raws])
            started = time.monotonic()
            await worker(store, plan, made).drain(600)
            counted = await asyncio.to_thread(finished, place.api)
            seconds = time.monotonic() - started
            if counted < len(orders):
                raise SystemExit(f"Counterfoil ended with {counted} of {len(orders)} orders confirmed and paid")
            return seconds, await store.durability()
        finally:
            for connector in made.values():
                await connector.close()
            await store.close()


def durability(database: str) -> dict[str, str]:
    """Odoo's PostgreSQL: what a commit is worth there. Without it no figure is printed."""
    names = ("fsync", "synchronous_commit", "full_page_writes")
    query = f"select name || '=' || setting from pg_settings where name in {names};"
    done = script("psql", database, text=query)
    settings = dict(line.strip().split("=") for line in done.stdout.splitlines() if "=" in line)
    if {"fsync", "synchronous_commit"} - set(settings):
        raise SystemExit("the durability settings could not be read: no figure is printed without them")
    return settings


def script(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """scripts/odoo19 with `text` on its standard input."""
    command = [str(REPOSITORY / "scripts" / "odoo19"), *arguments]
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)


def one(kind: str, orders: list[list[int]], settings: dict[str, Any]) -> float:
    """One run on a fresh database: orders a second."""
    place = real_odoo(f"cf_bench_{kind}", workers=2)
    try:
        known = prepare(place.api)
        settings["odoo"] = durability(place.database)
        started = time.monotonic()
        if kind == "plain":
            plain(place.api, known, orders)
            seconds = time.monotonic() - started
        elif kind == "orm":
            seconds = orm(place.database, known, orders)
        else:
            seconds, settings["counterfoil"] = asyncio.run(counterfoil(place, known, orders))
        counted = finished(place.api)
        if counted != len(orders):
            raise SystemExit(f"{kind}: Odoo counts {counted} of {len(orders)} confirmed and paid")
    finally:
        subprocess.run(
            [str(REPOSITORY / "scripts" / "odoo19"), "drop", place.database], check=True, stdout=subprocess.DEVNULL
        )
    print(f"{kind}: {len(orders)} orders in {seconds:.1f} s, {len(orders) / seconds:.1f}/s", flush=True)
    return len(orders) / seconds


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("plain", "orm", "counterfoil"))
    options = parser.parse_args()
    orders = spread(options.orders)
    settings: dict[str, Any] = {"odoo_workers": 2, "orders": options.orders, "rounds": options.rounds}
    figures: dict[str, list[float]] = {"plain": [], "orm": [], "counterfoil": []}
    try:
        for _ in range(options.rounds):
            for kind, measured in figures.items():  # side by side, so that a busy machine troubles all alike
                if options.only in (None, kind):
                    measured.append(one(kind, orders, settings))
    except NoOdoo as why:
        print(why, file=sys.stderr)
        return 77
    medians = {kind: round(statistics.median(m), 2) for kind, m in figures.items() if m}
    if len(medians) == 3:
        print(
            f"counterfoil / plain = {medians['counterfoil'] / medians['plain']:.2f} (aim 3), "
            f"counterfoil / orm = {medians['counterfoil'] / medians['orm']:.2f} (aim 1.2)"
        )
    print(json.dumps({**medians, "settings": settings}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
