"""Two `counterfoil run` on one PostgreSQL, between a stand-in shop and a stand-in Odoo: what their tests stand on.

Both poll, both work, and each webhook comes to both doors at the same moment, as behind a proxy gone wild. The two
processes live in time zones of their own. What became of the orders is asked of shop and Odoo alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.conftest import empty
from tests.fakes import rows_of

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors import assembly
from counterfoil.hub import schema
from counterfoil.hub.store import Store
from counterfoil.hub.worker import idle
from counterfoil_lab.checker import Sellable, check, odoo_orders, sellable, shop_orders
from counterfoil_lab.prepare import prepare
from counterfoil_lab.stage import SHOP_KEYS, OdooPlace, blueprint
from counterfoil_sandbox.odoo import Odoo
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp
from counterfoil_sandbox.woocommerce import make_app as make_shop

ZONES = {"one": "Asia/Kolkata", "two": "America/St_Johns"}
CANCELS_PER_SECOND = 2
FLOWS = f"""\
  - {{on: order.cancelled, from: web, do: odoo.cancel_order, rate: {CANCELS_PER_SECOND}/s, batch: 1}}
  - {{on: [order.placed, order.paid], from: us, do: odoo.accept_order}}
  - {{on: stock.changed, from: odoo, do: web.publish_stock, when_down: latest_only, on_exception: pass}}
"""
US = """\
  us:
    connector: woocommerce
    url: {url}
    consumer_key: {{file: secrets/shop-key}}
    consumer_secret: {{file: secrets/shop-secret}}
    poll: 1s
"""


class Front:
    """Before Odoo: notes when it is asked what, and can hold back one request, before or after it is carried out."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: list[tuple[float, str]] = []
        self._path, self._carried_out = "", False
        self.reached, self.go_on = threading.Event(), threading.Event()

    def hold(self, path: str, carried_out: bool) -> None:
        """The next request to this path (`sale.order/load`) waits until `go_on`."""
        self.reached.clear()
        self.go_on.clear()
        self._path, self._carried_out = path, carried_out

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "").removeprefix("/json/2/")
        self.asked.append((time.time(), path))
        if path != self._path:
            await self.app(scope, receive, send)
            return
        self._path = ""
        held: list[Any] = []
        asked = [await receive()]
        while asked[-1].get("more_body"):
            asked.append(await receive())

        async def given() -> Any:
            return asked.pop(0) if asked else await receive()

        async def keep(message: Any) -> None:
            held.append(message)

        if self._carried_out:
            await self.app(scope, given, keep)
        self.reached.set()
        while not self.go_on.is_set():  # noqa: ASYNC110 - set from the test's thread
            await asyncio.sleep(0.01)
        if not self._carried_out:
            await self.app(scope, given, keep)
        for message in held:
            await send(message)


class Doors:
    """Where the shop's webhooks go: each to all doors at once. Taken if one of them took it."""

    def __init__(self) -> None:
        self.client = httpx.AsyncClient(timeout=10)
        self.urls: list[str] = []
        self.last: dict[str, tuple[dict[str, str], bytes]] = {}  # by order

    def app(self) -> Starlette:
        async def receive(request: Request) -> Response:
            body = await request.body()
            headers = {k: v for k, v in request.headers.items() if k.startswith("x-wc-") or k == "content-type"}
            if found := re.match(rb'{"id":(\d+)', body):
                self.last[found[1].decode()] = (headers, body)
            posts = [self.client.post(url + "/webhooks/web", content=body, headers=headers) for url in self.urls]
            answers = await asyncio.gather(*posts, return_exceptions=True)
            return Response(status_code=min([a.status_code for a in answers if isinstance(a, httpx.Response)] or [503]))

        return Starlette(routes=[Route("/webhooks/web", receive, methods=["POST"])])

    def again(self, number: int, times: int) -> Counter[int]:
        """The last webhook of an order comes to each door so many times more, all at once; how they answered."""
        headers, body = self.last[str(number)]
        with ThreadPoolExecutor(16) as pool, httpx.Client(timeout=30) as client:
            urls = [url + "/webhooks/web" for url in self.urls] * times
            return Counter(pool.map(lambda url: client.post(url, content=body, headers=headers).status_code, urls))


@dataclass
class TwoHubs:
    """The scene. `do` runs a coroutine on `store`, which is theirs."""

    folder: Path
    shop: ShopApp
    shop_url: str
    us: ShopApp
    us_url: str
    odoo: Odoo
    faults: Any
    front: Front
    place: OdooPlace
    doors: Doors
    files: dict[str, Path]
    store: Store
    do: Callable[[Coroutine[Any, Any, Any]], Any]
    known: Sellable
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    # --- processes ----------------------------------------------------------------------------------------------------

    def up(self, *names: str) -> None:
        """These (or both) run, and take webhooks."""
        for name in names or ZONES:
            if name not in self.running or self.running[name].poll() is not None:
                self.start(name, "-m", "counterfoil.doors.cli", "run", "-b", str(self.files[name]))
        for name in names or ZONES:
            self.until(lambda name=name: self._listens(name))

    def start(self, name: str, *arguments: str) -> None:
        """A process of this name, with its zone and its log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, *arguments], env={**os.environ, "TZ": ZONES[name]}, stdout=log, stderr=log
            )

    def kill(self, *names: str) -> None:
        """kill -9."""
        for name in names:
            process = self.running.pop(name, None)
            if process is not None:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        """What it wrote."""
        return (self.folder / f"{name}.log").read_text()

    def busy(self) -> str:
        """Which of the two has orders in hand for Odoo."""
        workers = {row["worker"] for row in self.rows(schema.lane, system="odoo", stream="order") if row["worker"]}
        return next(n for n, p in self.running.items() if any(f":{p.pid}:" in worker for worker in workers))

    @contextlib.contextmanager
    def stalled(self, name: str) -> Iterator[None]:
        """It stands still meanwhile, but not within a transaction, in whose way everybody else would be."""
        process = self.running[name]
        process.send_signal(signal.SIGSTOP)
        try:
            while self._stuck():
                process.send_signal(signal.SIGCONT)
                time.sleep(0.05)
                process.send_signal(signal.SIGSTOP)
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _stuck(self) -> bool:
        """Whether a transaction stays open and idle."""
        before = self.do(self._open_transactions())
        time.sleep(0.5 if before else 0)
        return bool(before and before & self.do(self._open_transactions()))

    async def _open_transactions(self) -> set[Any]:
        others = "datname = current_database() and pid <> pg_backend_pid() and xact_start is not null"
        async with self.store.read() as connection:
            asked = await connection.execute(sa.text(f"select pid, xact_start from pg_stat_activity where {others}"))
            return {tuple(row) for row in asked}

    def end_leases(self) -> None:
        """So much time goes by that the leases and turns of who does not renew them are over."""
        self.do(self._end_leases())

    async def _end_leases(self) -> None:
        async with self.store.write() as connection:
            await connection.execute(sa.update(schema.lane).values(lease_until=self.store.now - 1))
            await connection.execute(sa.update(schema.cursor).values(next_at=0))

    # --- looking ------------------------------------------------------------------------------------------------------

    def rows(self, table: sa.Table, **where: Any) -> list[dict[str, Any]]:
        """Rows of the hubs' store with these values."""
        return list(self.do(rows_of(self.store, table, **where)))

    def orders_in_odoo(self, numbers: Collection[int], system: str = "web") -> list[dict[str, Any]]:
        """The sale orders of these."""
        origins = {f"{system}:order:{number}" for number in numbers}
        return [row for row in list(self.odoo.store.rows["sale.order"].values()) if row["origin"] in origins]

    def until(self, check: Callable[[], Any], seconds: float = 110) -> Any:
        """The first true answer."""
        deadline = time.monotonic() + seconds
        while not (answer := check()):
            time.sleep(0.05)
            if time.monotonic() > deadline:
                raise AssertionError("\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name in self.running))
        return answer

    def at_rest(self) -> None:
        """No webhook waits, and nothing is due or in hand."""
        self.until(lambda: self.shop.shop.drain(10) and self.do(idle(self.store)))

    def settled(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Once these orders are in Odoo and the hubs at rest: the independent verdict on them, by shop and Odoo."""
        self.until(lambda: len({r["origin"] for r in self.orders_in_odoo(numbers)}) == len(numbers))
        self.at_rest()
        return self.verdict(numbers)

    def verdict(self, numbers: Sequence[int]) -> dict[str, Any]:
        """By the independent checker."""
        told = [order for order in shop_orders(self.shop_url, *SHOP_KEYS) if order["id"] in set(numbers)]
        assert len(told) == len(numbers)
        return check(told, odoo_orders(self.place.api, "web:order:"), self.known, "web")

    def _listens(self, name: str) -> bool:
        assert self.running[name].poll() is None, self.log(name)
        port = int(self.doors.urls[list(ZONES).index(name)].rpartition(":")[2])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def two_hubs(folder: Path, store_url: str) -> Iterator[TwoHubs]:
    """The scene, with both hubs running."""
    shop, us = make_shop(), make_shop(None, site_timezone="America/Los_Angeles")
    app, doors = make_odoo(currency="EUR", country="FR"), Doors()
    front = Front(app)
    with (
        serving(shop) as shop_url,
        serving(us) as us_url,
        serving(front) as odoo_url,
        serving(doors.app()) as doors_url,
        asyncio.Runner() as runner,
    ):
        place = OdooPlace(odoo_url, "sandbox", "sandbox-key")
        prepare(place.api, RECORDINGS, ["EUR"])
        files = {}
        for name in ZONES:
            (folder / name).mkdir()
            files[name] = blueprint(folder / name, place, shop_url, poll="1s", store=store_url, catalogue=RECORDINGS)
            text = files[name].read_text(encoding="utf-8")
            doors.urls.append("http://" + re.findall("listen: (.*)", text)[0])
            text = re.sub("public_url: .*", f"public_url: {doors_url}", text)
            text = re.sub(r"  - {on: order.cancelled, .*\n", FLOWS, text)
            text = text.replace("  odoo:\n", US.format(url=us_url) + "  odoo:\n", 1)
            files[name].write_text(text, encoding="utf-8")
        store = Store(store_url)
        runner.run(empty(store))
        runner.run(_webhooks(files["one"], doors_url))
        scene = TwoHubs(
            *(folder, shop, shop_url, us, us_url, app.inner.state.odoo, app.faults, front, place, doors, files),
            *(store, runner.run, sellable(place.api)),
        )
        try:
            scene.up()
            yield scene
        finally:
            scene.front.go_on.set()
            scene.kill(*ZONES)
            runner.run(store.close())


async def _webhooks(file: Path, url: str) -> None:
    connector = assembly.connectors(assembly.load(file))["web"]
    assert isinstance(connector, WooCommerce)
    await connector.ensure_webhooks(url)
    await connector.close()
