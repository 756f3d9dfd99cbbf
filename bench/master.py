"""Master data of a shop and a real Odoo 19: linked, kept alike both ways, a price campaign, and back on command.

2,000 products with variants (5,000 SKUs) whose owner is Odoo, 10,000 customers whose owner is the shop, but for their
telephone, which is Odoo's. Half of the customers and all of the products stand on both sides before. Judged by what
both systems tell themselves: every SKU with its price, every customer by e-mail. The second run reads everything
again; what it writes is counted by Odoo's own dates of change and by the shop's own account of writes. Last line: one
JSON object.

    python bench/master.py [--products 2000] [--customers 10000] [--odoo real]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa
from starlette.responses import JSONResponse

from catalogue import Counted, wait_for
from counterfoil.blueprint import Blueprint, parse
from counterfoil.doors import assembly, onboarding
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import exceptions, receipts, restating
from counterfoil.hub.schema import cursor
from counterfoil.hub.worker import idle, streams_of
from counterfoil.processes.changes import changed
from counterfoil.processes.pricing import with_prices_of
from counterfoil.retail.product import Product
from counterfoil_lab.agreement import articles, listed, read_shop
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.stage import SHOP_KEYS, NoOdoo, an_odoo
from counterfoil_sandbox.serving import free_port, serve_forever
from counterfoil_sandbox.woocommerce import make_app

SIZES = ("S", "M", "L")
LONGEST = 1800.0
EDITS = 200
BLUEPRINT = """\
counterfoil: 1
store: sqlite:///{folder}/counterfoil.db
systems:
  web: {{connector: woocommerce, url: "{shop}", consumer_key: "${{K}}", consumer_secret: "${{S}}", poll: 2s,
        timeout: 60s, customers: 5s, cut_over: 2020-01-01T00:00:00Z}}
  odoo: {{connector: odoo, url: "{odoo}", database: {database}, api_key: "${{A}}", poll: 2s, pricelist: Bench}}
owners:
  product: odoo
  customer: {{owner: web, fields: {{phone: odoo}}}}
flows:
  - {{on: product.changed, from: odoo, do: web.publish_product, when_down: latest_only, on_exception: pass}}
  - {{on: customer.changed, from: web, do: odoo.update_customer, on_exception: pass}}
  - {{on: customer.changed, from: odoo, do: web.update_customer, on_exception: pass}}
"""


def sizes_of(n: int) -> tuple[str, ...]:
    """Three quarters come in three sizes: 2,000 products are 5,000 SKUs."""
    return SIZES if n % 4 else ("",)


def sku_of(n: int, k: int) -> str:
    """Of size `k` of product `n`."""
    return f"MASTER-{n}-{k}"


def email_of(n: int) -> str:
    """Of customer `n`."""
    return f"c{n}@example.test"


def skus(products: int) -> list[str]:
    """All there are."""
    return [sku_of(n, k) for n in range(products) for k in range(len(sizes_of(n)))]


# --- both sides, before ---------------------------------------------------------------------------------------------


def shop(port: int, products: int, customers: int) -> None:
    """A shop that has sold all this for years, until it is ended. POST /_bench/edit moves some people to another town,
    /_bench/clock/T sets its clock."""
    app = make_app(options={"woocommerce_prices_include_tax": "no"})
    catalogue, people = app.shop.catalogue, app.shop.customers
    for number in list(catalogue.products):  # of the recordings only the settings are wanted
        catalogue.remove(number)
    people.entries.clear()
    choices = {"name": "Size", "options": list(SIZES), "variation": True, "visible": True}
    for n in range(products):
        common = {"name": f"Product {n}", "status": "publish"}
        if len(sizes_of(n)) == 1:
            catalogue.write(common | {"sku": sku_of(n, 0), "regular_price": "1.00"})
            continue
        parent = catalogue.write(common | {"type": "variable", "attributes": [choices]})
        for k, name in enumerate(SIZES):
            choice = {"attributes": [{"name": "Size", "option": name}], "regular_price": "1.00"}
            catalogue.write_variation(parent["id"], choice | {"sku": sku_of(n, k)})
    template = people.add("template@example.test")
    people.entries.clear()
    for n in range(customers):  # as `add` makes them, without looking ten thousand times for the address
        address = {"first_name": f"N{n}", "last_name": "Test", "address_1": f"{n} rue Haute", "city": "Lyon"}
        billing = {**template["billing"], **address, "country": "FR", "phone": f"+331{n:08d}", "email": email_of(n)}
        person = {"email": email_of(n), "username": f"c{n}", "first_name": f"N{n}", "last_name": "Test"}
        people.entries[n + 1] = {**template, **person, "id": n + 1, "billing": billing, "meta_data": []}
    counted = Counted(app)

    async def doors(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/_bench/clock/"):
            app.shop.set_clock(frozen_at=float(scope["path"].rpartition("/")[2]))
            await JSONResponse({})(scope, receive, send)
            return
        if scope["path"] == "/_bench/edit":
            for n in range(min(EDITS, customers)):
                people.change(n + 1, billing={"city": f"Town {n}"})
            await JSONResponse({"edited": EDITS})(scope, receive, send)
            return
        await counted(scope, receive, send)

    serve_forever(doors, port)


def prepare(odoo: Odoo, products: int, customers: int) -> None:
    """The same in Odoo: all products, every second customer, and an empty pricelist."""
    [size] = odoo.call("product.attribute", "create", vals_list=[{"name": "Bench size", "create_variant": "always"}])
    values = [{"name": name, "attribute_id": size} for name in SIZES]
    sizes = odoo.call("product.attribute.value", "create", vals_list=values)
    line = {"attribute_id": size, "value_ids": [[6, 0, sizes]]}
    for start in range(0, products, 250):
        numbers = range(start, min(start + 250, products))
        rows = []
        for n in numbers:
            more = {"default_code": sku_of(n, 0)} if len(sizes_of(n)) == 1 else {"attribute_line_ids": [[0, 0, line]]}
            row = {"name": f"Product {n}", "type": "consu", "is_storable": True, "list_price": 5 + n / 100}
            rows.append(row | {"taxes_id": [[6, 0, []]], **more})
        made = odoo.call("product.template", "create", vals_list=rows)
        variants: dict[int, list[int]] = {}
        for row in odoo.read("product.product", [["product_tmpl_id", "in", made]], ["product_tmpl_id"]):
            variants.setdefault(row["product_tmpl_id"][0], []).append(row["id"])
        keyed = []
        for n, template in zip(numbers, made, strict=True):
            if len(sizes_of(n)) > 1:
                keyed += [[str(id_), sku_of(n, k)] for k, id_ in enumerate(sorted(variants[template]))]
        odoo.call("product.product", "load", fields=[".id", "default_code"], data=keyed)
    people = [
        {
            "name": f"N{n} Test",
            "email": email_of(n),
            "phone": f"+331{n:08d}",
            "street": f"{n} rue Haute",
            "city": "Lyon",
        }
        for n in range(0, customers, 2)
    ]
    for start in range(0, len(people), 1000):
        odoo.call("res.partner", "create", vals_list=people[start : start + 1000])
    [euro] = odoo.call("res.currency", "search", domain=[["name", "=", "EUR"]])
    odoo.call("product.pricelist", "create", vals_list=[{"name": "Bench", "currency_id": euro}])


# --- the measure ----------------------------------------------------------------------------------------------------


class Bench:
    """The steps over one hub, judged from outside."""

    def __init__(self, running: Hub, odoo: Odoo, url: str, products: int, customers: int) -> None:
        self.hub, self.odoo, self.url, self.products, self.customers = running, odoo, url, products, customers
        self.report: dict[str, Any] = {}
        self.since = time.time()

    def shop_writes(self) -> int:
        """By the shop's own account."""
        return int(httpx.get(f"{self.url}/_bench", timeout=60).json()["writes"])

    def odoo_changed(self, since: str) -> int:
        """Partners and products that were written since then, by Odoo's own dates."""
        domain = [["write_date", ">=", since]]
        context = {"active_test": False}
        models = ("res.partner", "product.template", "product.product")
        return sum(self.odoo.call(model, "search_count", domain=domain, context=context) for model in models)

    async def step(self, name: str, act: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """Do it; seconds, and what was written on both sides meanwhile."""
        before, began = self.shop_writes(), datetime.now(UTC) + timedelta(seconds=1)
        await asyncio.sleep(1.1)  # Odoo's dates are whole seconds
        started = time.perf_counter()
        told = await act()
        seconds = round(time.perf_counter() - started, 1)
        changed_ = await asyncio.to_thread(self.odoo_changed, f"{began:%Y-%m-%d %H:%M:%S}")
        self.report[name] = {**told, "seconds": seconds, "shop_writes": self.shop_writes() - before}
        self.report[name]["odoo_records_written"] = changed_
        print(f"{name}: {self.report[name]}", flush=True)

    async def link(self) -> dict[str, Any]:
        """`counterfoil link` for both."""
        told = {}
        for what in ("products", "customers"):
            plan, made = self.hub.blueprint, self.hub.connectors
            done = (await onboarding.link(self.hub.store, plan, made, "web", what, True, _quiet)).summary()
            told[what] = {key: done[key] for key in ("matched_by", "already_linked", "written")}
        return told

    async def read_all(self) -> dict[str, Any]:
        """Everything is read again, and worked until both sides agree and nothing is left to do."""
        for system, connector in self.hub.connectors.items():
            for feed in connector.feeds:
                if feed.kind in ("product", "customer"):
                    await receipts.forget_cursor(self.hub.store, system, feed.name)
        self.since = time.time()
        return await self.agreed()

    async def agreed(self) -> dict[str, Any]:
        """Wait until both sides say the same; what differs in the end."""
        deadline = time.monotonic() + LONGEST
        while True:
            while not (await self._polled() and await idle(self.hub.store)):  # noqa: ASYNC110  (the hub tells nobody)
                await asyncio.sleep(0.2)
            differs = await asyncio.to_thread(self.differs)
            print(f"  {differs}", file=sys.stderr, flush=True)
            if not any(differs.values()) or time.monotonic() > deadline:
                open_ = await exceptions.listing(self.hub.store, limit=100_000)
                return {"differs": differs, "exceptions": len(open_)}
            await asyncio.sleep(1.0)

    async def _polled(self) -> bool:
        """Every feed of products and customers has been read to its end since it was last asked to begin anew."""
        async with self.hub.store.read() as connection:
            unread = sa.or_(cursor.c.ok_at.is_(None), cursor.c.ok_at < self.since)
            mine = cursor.c.feed.in_(("products", "customers"))
            return not await connection.scalar(sa.select(sa.func.count()).select_from(cursor).where(mine, unread))

    def differs(self) -> dict[str, int]:
        """How many are not alike: SKUs by price, customers by e-mail, and by telephone and town."""
        mine = [["default_code", "like", "MASTER-"]]
        rows = self.odoo.read("product.product", mine, ["default_code", "lst_price"])
        prices = {row["default_code"]: round(row["lst_price"], 2) for row in rows}
        told = {sku: float(price) for sku, price in read_shop(self.url, *SHOP_KEYS).prices.items()}
        rows = self.odoo.read("res.partner", [["email", "like", "%@example.test"]], ["email", "phone", "city"])
        people = {row["email"]: (row["phone"] or "", row["city"] or "") for row in rows}
        with _api(self.url) as shop:
            accounts = {a["email"]: (a["billing"]["phone"], a["billing"]["city"]) for a in listed(shop, "customers")}
        both = people.keys() & accounts.keys()
        return {
            "prices": sum(told.get(sku) != price for sku, price in prices.items()) + len(told.keys() ^ prices.keys()),
            "customers": len(people.keys() ^ accounts.keys()) + len(rows) - len(people),
            "telephones": sum(people[email][0] != accounts[email][0] for email in both),
            "towns": sum(people[email][1] != accounts[email][1] for email in both),
        }

    async def edits(self) -> dict[str, Any]:
        """Some towns in the shop, some telephones in Odoo."""
        await asyncio.to_thread(httpx.post, f"{self.url}/_bench/edit", timeout=60)
        some = [["email", "in", [email_of(n) for n in range(EDITS, 2 * EDITS)]]]
        for n, row in enumerate(self.odoo.read("res.partner", some, ["id"])):
            self.odoo.call("res.partner", "write", ids=[row["id"]], vals={"phone": f"+339{n:08d}"})
        return await self.agreed()

    async def campaign(self, starts: datetime, ends: datetime) -> dict[str, Any]:
        """20 % off everything between these moments, as Odoo's pricelist says."""
        [list_] = self.odoo.call("product.pricelist", "search", domain=[["name", "=", "Bench"]])
        rule = {"pricelist_id": list_, "applied_on": "3_global", "compute_price": "percentage", "percent_price": 20}
        rule |= {"date_start": f"{starts:%Y-%m-%d %H:%M:%S}", "date_end": f"{ends:%Y-%m-%d %H:%M:%S}"}
        self.odoo.call("product.pricelist.item", "create", vals_list=[rule])
        began = time.perf_counter()
        while (found := await asyncio.to_thread(self.on_sale))["announced"] < len(skus(self.products)):
            if time.perf_counter() - began > LONGEST:
                break
            await asyncio.sleep(1.0)
        return {**found, "announced_s": round(time.perf_counter() - began, 1)}

    def on_sale(self) -> dict[str, int]:
        """Of the shop's SKUs: how many know of the campaign, how many are sold at its price now."""
        with _api(self.url) as shop:
            rows = list(articles(shop))
        return {
            "announced": sum(bool(row["sale_price"]) for row in rows),
            "sold_cheaper": sum(row["on_sale"] for row in rows),
            "right": sum(
                row["sale_price"] == f"{round(float(row['regular_price']) * 0.8 + 1e-9, 2):.2f}" for row in rows
            ),
        }

    def set_clock(self, at: datetime) -> None:
        """The shop's clock stands there from now on."""
        httpx.post(f"{self.url}/_bench/clock/{at.timestamp()}", timeout=30).raise_for_status()

    async def back(self, then: datetime) -> dict[str, Any]:
        """`counterfoil prices rollback`."""
        store, plan = self.hub.store, self.hub.blueprint
        process = assembly.processes(plan)["odoo"]["product"]
        planned = await restating.plan(store, "odoo", "product", then, with_prices_of, Product)
        streams, place = streams_of(self.hub.connectors), ("odoo", "product")
        told = await restating.restate(store, plan, streams, process, changed, place, planned, "bench", "bench")
        while not await idle(store):  # noqa: ASYNC110  (the hub tells nobody that it is done)
            await asyncio.sleep(0.1)
        return {"products": told, **await asyncio.to_thread(self.on_sale)}


def _quiet(_label: str, _by: int, _total: int | None) -> None:
    """No progress is shown."""


def _api(url: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/wp-json/wc/v3/", auth=SHOP_KEYS, timeout=60)


async def run(plan: Blueprint, odoo: Odoo, url: str, products: int, customers: int) -> dict[str, Any]:
    """All steps; figures of each."""
    async with hub(plan, ("workers",)) as running:
        bench = Bench(running, odoo, url, products, customers)
        await bench.step("link", bench.link)
        report = bench.report
    async with hub(plan, ("workers", "schedule")) as running:
        bench = Bench(running, odoo, url, products, customers)
        bench.report = report
        await bench.step("first run", bench.agreed)
        await bench.step("edits on both sides", bench.edits)
        await bench.step("second run", bench.read_all)
        before = datetime.now(UTC)
        starts, ends = before + timedelta(hours=1), before + timedelta(hours=2)
        await bench.step("campaign", lambda: bench.campaign(starts, ends))
        moments = {"before": before, "within": starts + timedelta(minutes=1), "after": ends + timedelta(minutes=1)}
        for name, at in moments.items():
            bench.set_clock(at)
            bench.report[f"campaign, {name}"] = await asyncio.to_thread(bench.on_sale)
        bench.set_clock(moments["within"])
        await bench.step("rolled back", lambda: bench.back(before))
        return bench.report


def right(report: dict[str, Any], products: int) -> bool:
    """Whether both sides agreed each time, the second run wrote hardly anything, and the campaign kept its times."""
    agreed = all(not any(step["differs"].values()) for step in report.values() if "differs" in step)
    first, second = (
        report[name]["shop_writes"] + report[name]["odoo_records_written"] for name in ("first run", "second run")
    )
    count = len(skus(products))
    cheaper = [report[f"campaign, {name}"]["sold_cheaper"] for name in ("before", "within", "after")]
    campaign = (report["campaign"]["announced"], report["campaign"]["right"]) == (count, count)
    back = (report["rolled back"]["announced"], report["rolled back"]["sold_cheaper"]) == (0, 0)
    return agreed and second * 10 < first and campaign and cheaper == [0, count, 0] and back


def main() -> int:
    """Run it; 1 if something is not as it should be, 77 where there is no Odoo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=2_000)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--odoo", choices=("real", "sandbox"), default="real")
    options = parser.parse_args()
    products, customers, port = options.products, options.customers, free_port()
    process = multiprocessing.get_context("spawn").Process(target=shop, args=(port, products, customers), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    try:
        with an_odoo(options.odoo, "cf_master", workers=2) as place, tempfile.TemporaryDirectory() as folder:
            wait_for(url)
            print(f"preparing {len(skus(products))} SKUs and {customers // 2} customers in Odoo", file=sys.stderr)
            prepare(place.api, products, customers)
            text = BLUEPRINT.format(folder=folder, shop=url, odoo=place.url, database=place.database)
            secrets = {"K": SHOP_KEYS[0], "S": SHOP_KEYS[1], "A": place.api_key}
            plan = parse(text, known=assembly.catalogue(), environ=secrets)
            report = asyncio.run(run(plan, place.api, url, products, customers))
    except NoOdoo as why:
        print(why, file=sys.stderr)
        return 77
    finally:
        process.terminate()
        process.join()
    ok = right(report, products)
    print(json.dumps({"skus": len(skus(products)), "customers": customers, **report, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
