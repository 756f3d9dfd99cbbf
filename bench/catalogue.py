"""10,000 products linked and published, twice: seconds and calls; the second time nothing is written.

Over HTTP throughout. An Odoo and a shop are stand-ins in processes of their own, without a disk, so the seconds are
the hub's and theirs; a real shop takes 70 to 100 product writes a second (measured, 9.9.5). One product in ten has
three variants; one in five of the shop's has no SKU there and is found by its GTIN. Linking and publishing run as
`counterfoil link` and `publish` do beside a running hub: dry run, link, publish, link again, publish again with
everything told once more. What was written is judged by the stand-ins' own count of calls, by the shop's whole content
and by the hub's table of links. Last line: one JSON object.

    python bench/catalogue.py [--products 10000] [--empty]

`--empty`: the shop has nothing yet, so that all of it is made there.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import sqlalchemy as sa
from starlette.responses import JSONResponse

from counterfoil.blueprint import Blueprint, parse
from counterfoil.doors import assembly, onboarding, publishing
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import exceptions
from counterfoil.hub.schema import link
from counterfoil.hub.store import Store
from counterfoil.hub.worker import idle
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import free_port, serve_forever
from counterfoil_sandbox.woocommerce import make_app as make_shop

CATEGORIES = 40
SIZES = ("S", "M", "L")
READING = {"search_read", "search", "search_count", "fields_get", "context_get"}
"""Methods of Odoo that write nothing, though they are POSTed."""
CHUNK = 500
LONGEST = 1800.0
BLUEPRINT = """\
counterfoil: 1
store: sqlite:///{folder}/counterfoil.db
systems:
  web: {{connector: woocommerce, url: "{shop}", consumer_key: "${{K}}", consumer_secret: "${{S}}", timeout: 60s}}
  odoo: {{connector: odoo, url: "{odoo}", database: sandbox, api_key: "${{A}}", overlap: 1s}}
owners: {{product: odoo, stock: odoo}}
flows:
  - {{on: product.changed, from: odoo, do: web.publish_product, when_down: latest_only, on_exception: pass}}
"""
SECRETS = {"K": "ck_sandbox", "S": "cs_sandbox", "A": "sandbox-key"}


# --- the catalogue, made up and always the same -------------------------------------------------------------------


def sizes_of(n: int) -> tuple[str, ...]:
    """What there is of product `n`: one in ten comes in three sizes."""
    return SIZES if n % 10 == 0 else ("",)


def sku_of(n: int, k: int) -> str:
    """Of size `k` of product `n`."""
    return f"BENCH-{n}-{k}"


def gtin_of(n: int, k: int) -> str:
    """A GTIN-13 with its check digit."""
    digits = f"20{n:08d}{k:02d}"
    return f"{digits}{-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10}"


# --- the stand-ins, each a process --------------------------------------------------------------------------------


class Counted:
    """A stand-in that counts what it is asked; GET /_bench tells, with what `look` says of its content."""

    def __init__(self, app: Any, look: Callable[[], dict[str, Any]] = dict) -> None:
        self.app, self.look = app, look
        self.calls = self.writes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/_bench":
            told = {"calls": self.calls, "writes": self.writes, **self.look()}
            await JSONResponse(told)(scope, receive, send)
            return
        self.calls += 1
        self.writes += scope["method"] != "GET" and scope["path"].rpartition("/")[2] not in READING
        await self.app(scope, receive, send)


def odoo(port: int, count: int) -> None:
    """An Odoo with `count` products, until it is ended."""
    app = make_odoo(currency="EUR", country="FR")
    call = app.inner.state.odoo.call
    (root,) = call("product.category", "create", vals_list=[{"name": "Bench"}])
    groups = [{"name": f"Group {g}", "parent_id": root} for g in range(CATEGORIES)]
    categories = call("product.category", "create", vals_list=groups)
    (size,) = call("product.attribute", "create", vals_list=[{"name": "Size"}])
    values = [{"name": name, "attribute_id": size} for name in SIZES]
    sizes = call("product.attribute.value", "create", vals_list=values)
    line = {"attribute_id": size, "value_ids": [(6, 0, sizes)]}
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        rows = []
        for n in numbers:
            own = {"default_code": sku_of(n, 0), "barcode": gtin_of(n, 0)}
            more = own if len(sizes_of(n)) == 1 else {"attribute_line_ids": [(0, 0, line)]}
            price = (500 + n) / 100
            rows.append({"name": f"Product {n}", "list_price": price, "categ_id": categories[n % CATEGORIES], **more})
        for n, template in zip(numbers, call("product.template", "create", vals_list=rows), strict=True):
            if len(sizes_of(n)) > 1:
                domain = [["product_tmpl_id", "=", template]]
                for k, variant in enumerate(call("product.product", "search", domain=domain, order="id")):
                    keys = {"default_code": sku_of(n, k), "barcode": gtin_of(n, k)}
                    call("product.product", "write", ids=[variant], vals=keys)
    serve_forever(Counted(app), port)


def shop(port: int, count: int) -> None:
    """A shop that has sold `count` products for years, until it is ended."""
    app = make_shop(options={"woocommerce_prices_include_tax": "no"})
    catalogue = app.shop.catalogue
    for number in list(catalogue.products):  # of the recordings only the settings are wanted
        catalogue.remove(number)
    sizes = {"name": "Size", "options": list(SIZES), "variation": True, "visible": True}
    for n in range(count):
        common = {"name": f"Shop's name of {n}", "status": "publish"}
        if len(sizes_of(n)) == 1:
            catalogue.write(common | _keys(n, 0) | {"regular_price": "1.00"})
            continue
        parent = catalogue.write(common | {"type": "variable", "attributes": [sizes]})
        for k, name in enumerate(SIZES):
            choice = {"attributes": [{"name": "Size", "option": name}], "regular_price": "1.00"}
            catalogue.write_variation(parent["id"], _keys(n, k) | choice)

    def look() -> dict[str, Any]:
        products, variations = catalogue.products, catalogue.variations
        digests = sum(any(m["key"] == "_counterfoil_digest" for m in row["meta_data"]) for row in products.values())
        content = json.dumps([products, variations], sort_keys=True)
        told = {"products": len(products), "variations": len(variations), "published": digests}
        return told | {"content": hashlib.sha256(content.encode()).hexdigest()}

    serve_forever(Counted(app, look), port)


def _keys(n: int, k: int) -> dict[str, str]:
    return {"global_unique_id": gtin_of(n, k)} | ({} if n % 5 == 1 else {"sku": sku_of(n, k)})


# --- the measure --------------------------------------------------------------------------------------------------


async def links_of(store: Store) -> set[tuple[Any, ...]]:
    """The whole table."""
    async with store.read() as connection:
        return {tuple(row) for row in await connection.execute(sa.select(link))}


class Bench:
    """The steps over one hub, with what each of them took."""

    def __init__(self, running: Hub, urls: dict[str, str], count: int) -> None:
        self.hub, self.urls, self.count = running, urls, count
        self.report: dict[str, Any] = {}

    def look(self) -> dict[str, dict[str, Any]]:
        """What the stand-ins tell of themselves."""
        return {name: httpx.get(f"{url}/_bench", timeout=120).json() for name, url in self.urls.items()}

    async def step(self, name: str, act: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Do it; time, calls and writes by both sides' own account, rows changed in the table of links."""
        before, links = self.look(), await links_of(self.hub.store)
        started = time.perf_counter()
        told = await act()
        seconds = time.perf_counter() - started
        after, changed = self.look(), len(links ^ await links_of(self.hub.store))
        calls = {side: after[side]["calls"] - before[side]["calls"] for side in after}
        found = {
            **told,
            "seconds": round(seconds, 2),
            "seconds_per_1000": round(seconds * 1000 / self.count, 3),
            "calls": calls,
            "calls_per_1000": {side: round(n * 1000 / self.count, 1) for side, n in calls.items()},
            "writes": {side: after[side]["writes"] - before[side]["writes"] for side in after},
            "links_changed": changed,
            "shop_changed": after["web"]["content"] != before["web"]["content"],
        }
        print(f"{name}: {found}", flush=True)
        self.report[name] = found
        return found

    async def link(self, write: bool) -> dict[str, Any]:
        """`counterfoil link products web`, with or without --write."""
        plan, made = self.hub.blueprint, self.hub.connectors
        done = await onboarding.link(self.hub.store, plan, made, "web", "products", write, _quiet)
        told = done.summary()
        return {name: told[name] for name in ("found", "matched_by", "already_linked", "review", "written")}

    async def publish(self, again: bool) -> dict[str, Any]:
        """`counterfoil publish web products`, with or without --again, until the hub has nothing left to do."""
        plan, made = self.hub.blueprint, self.hub.connectors
        done = await publishing.publish(self.hub.store, plan, made, "web", "products", _quiet, again, who="bench")
        async with asyncio.timeout(LONGEST):
            while not await idle(self.hub.store):  # noqa: ASYNC110  (the hub tells nobody that it is done)
                await asyncio.sleep(0.05)
        waiting = Counter(e["reason"] for e in await exceptions.listing(self.hub.store))
        return {"read_anew": done.read_anew, "told_again": done.told_again, "exceptions": dict(waiting)}


def _quiet(_label: str, _by: int, _total: int | None) -> None:
    """No progress is shown."""


async def run(plan: Blueprint, urls: dict[str, str], count: int) -> dict[str, Any]:
    """All steps; figures of each."""
    async with hub(plan, ("workers",)) as running:
        bench = Bench(running, urls, count)
        await bench.step("link, dry run", lambda: bench.link(write=False))
        await bench.step("link", lambda: bench.link(write=True))
        await bench.step("publish", lambda: bench.publish(again=False))
        await bench.step("link again", lambda: bench.link(write=True))
        await bench.step("publish again", lambda: bench.publish(again=True))
        return {**bench.report, "in_the_shop": bench.look()["web"]}


def right(report: dict[str, Any], count: int, held: int) -> bool:
    """Whether all `count` stand in the shop, the `held` ones that it had were linked, and the second run was quiet."""
    articles = sum(len(sizes_of(n)) for n in range(count))
    of_held = sum(len(sizes_of(n)) for n in range(held))
    dry, first, published = report["link, dry run"], report["link"], report["publish"]
    again, told = report["link again"], report["publish again"]
    writes = [step["writes"] for step in (dry, first, again, told)]
    linked = first["written"] == held + of_held and not published["exceptions"]
    whole = (report["in_the_shop"]["published"], report["in_the_shop"]["products"]) == (count, count)
    quiet = not any(step["links_changed"] or step["shop_changed"] for step in (dry, again, told))
    quiet = quiet and not any(n for sides in writes for n in sides.values()) and not told["exceptions"]
    everything = (again["already_linked"], told["read_anew"], told["told_again"]) == (articles, 0, count)
    return linked and whole and quiet and everything


def main() -> int:
    """Run it; 1 if the second run wrote anything or something is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--empty", action="store_true", help="begin with an empty shop")
    options = parser.parse_args()
    count, held = options.products, 0 if options.empty else options.products
    ports = {"odoo": free_port(), "web": free_port()}
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=target, args=arguments, daemon=True)
        for target, arguments in ((odoo, (ports["odoo"], count)), (shop, (ports["web"], held)))
    ]
    for process in processes:
        process.start()
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    try:
        for url in urls.values():
            wait_for(url)
        with tempfile.TemporaryDirectory(prefix="counterfoil-catalogue-") as folder:
            text = BLUEPRINT.format(folder=folder, shop=urls["web"], odoo=urls["odoo"])
            report = asyncio.run(run(parse(text, known=assembly.catalogue(), environ=SECRETS), urls, count))
    finally:
        for process in processes:
            process.terminate()
            process.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    report = {"products": count, "empty": options.empty, **report, "peak_memory_mb": peak}
    report["ok"] = right(report, count, held)
    print(json.dumps(report))
    return 0 if report["ok"] else 1


def wait_for(url: str) -> None:
    """Until the stand-in there answers. Raises RuntimeError."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/_bench", timeout=60)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("a stand-in did not start")


if __name__ == "__main__":
    sys.exit(main())
