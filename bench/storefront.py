"""How fast the storefront says how many of an article may be sold, beside an Odoo 19 asked for the same quantity.

10,000 articles in three warehouses, kept in SQLite as the hub keeps them; the storefront is served as `counterfoil run`
serves it, with its tokens, while 20 articles a second change. The client is a process of its own that sends at times
set beforehand (open loop): latency counts from the time a request was to be sent, whether it could be sent then or not.
At the limit each connection asks as soon as it was answered. What the client itself costs is printed beside.

Odoo 19 is real (two workers, JSON-2) and holds the same articles; of each it is asked what is on hand and outgoing, in
one call. Reservations are those of bench/reservations.py. Durability settings are printed. Last line: one JSON object.

    python bench/storefront.py [--seconds 10] [--rate 2000] [--without odoo reservations]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import math
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvicorn
import uvloop

from counterfoil.doors.assembly import connectors, load
from counterfoil.doors.serve import collect_seldom
from counterfoil.doors.storefront import opening
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.following import Follower
from counterfoil.doors.webhooks import application
from counterfoil.hub import schema
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.store import Store, as_json, open_store
from counterfoil.hub.storefront import apitokens
from counterfoil_lab import warehouse
from counterfoil_lab.stage import OdooPlace, an_odoo, blueprint
from counterfoil_sandbox.serving import free_port

SKUS, COUNTED, LISTED = 10_000, 1_000, 50
"""Articles; of them with stock, which are the ones asked for; and so many asked for at once."""
CHANNEL = "web"
CONNECTIONS = 32
CHANGES = 20
"""Articles that change each second while the storefront is read."""
PATH = "/storefront/v1/availability"
WHOLE = 600.0
"""Seconds a part may take."""


def sku(number: int) -> str:
    """Of the article with this number."""
    return f"STOCK-{number:06}"


def quantity(number: int) -> int:
    """How many of it there are, here and in Odoo."""
    return 10 + number % 90 if number < COUNTED else 0


# --- the storefront ---------------------------------------------------------------------------------------------------


def _article(number: int, places: int) -> dict[str, Any]:
    stood = {f"W{n:02}": (0, 0, 0) for n in range(places)}
    stood["W00"] = (quantity(number) * 1000, 0, 0)
    row = {"article": f"odoo:variant:{number}", "sku": sku(number), "places": stood, "taken": {}}
    return {**row, "asked_at": 1.0, "changed": number + 1}


def _product(number: int) -> dict[str, Any]:
    variant = {"id": str(number), "sku": sku(number), "gtin": f"{number:013}", "options": [], "price": "19.90 EUR"}
    variant |= {"sale": None, "weight": "0.400", "image": None, "active": True}
    state = {"system": "odoo", "id": str(number), "name": f"Article {number}", "description": "", "sellable": True}
    state |= {"tracked": True, "tax_class": "21 %", "prices_include_tax": True, "image": None, "costs": []}
    state |= {"category": ["Clothing", f"Category {number % 40}"], "variants": [variant]}
    row = {"system": "odoo", "kind": "product", "object_id": f"{number:06}", "version": "", "digest": "", "stage": "1"}
    return {**row, "state": state, "canonical_id": f"odoo:product:{number}", "updated_at": 1.0}


async def fill(url: str, count: int, places: int) -> None:
    """A store with so many articles, as the hub has them after its first walk through Odoo."""
    store = await open_store(url)
    for start in range(0, count, 2_000):
        numbers = range(start, min(start + 2_000, count))
        async with store.write() as connection:
            await connection.execute(sa.insert(schema.stock), [_article(n, places) for n in numbers])
            await connection.execute(sa.insert(schema.object_), [_product(n) for n in numbers])
    async with store.write() as connection:
        looked = {"system": "odoo", "feed": "stock", "value": {}, "next_at": 0.0, "ok_at": store.now}
        await connection.execute(sa.insert(schema.cursor).values(looked))
    await store.close()


async def _changing(store: Store) -> None:
    """Articles that nobody asks for come and go, and Odoo is looked at, as on any day."""
    dice = random.Random(3)
    for turn in itertools.count():
        await asyncio.sleep(1 / CHANGES)
        number = dice.randrange(COUNTED, SKUS)
        moved = as_json({"W00": (dice.randrange(1000) * 1000, 0, 0)})
        mine = {"b_article": f"odoo:variant:{number}", "places": moved}
        async with store.write() as connection:
            await store.each(connection, _moved, [mine])
            if turn % (2 * CHANGES) == 0:
                await connection.execute(sa.update(schema.cursor).values(ok_at=store.now))


def _moved(_store: Store) -> sa.Update:
    number = sa.literal_column("(SELECT 1 + max(changed) FROM stock)")
    values = {"places": sa.bindparam("places"), "changed": number}
    return sa.update(schema.stock).where(schema.stock.c.article == sa.bindparam("b_article")).values(values)


def _context(store: Store, url: str) -> Context:
    """As `counterfoil run` makes it, of a blueprint with a shop and an Odoo that are never called."""
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-storefront-"))
    try:
        declared = load(blueprint(folder, OdooPlace("http://127.0.0.1:9", "none", "none"), shop=CHANNEL, store=url))
    finally:
        shutil.rmtree(folder)
    return opening.context_of(store, declared, connectors(declared), asyncio.Event())


async def serve(url: str, port: int) -> None:
    """The storefront on a store, until this process is ended. Its first line is the token."""
    store = await open_store(url)
    _, token = await apitokens.add(store, "bench", CHANNEL, ["availability"], 1e6, "bench")
    context = _context(store, url)
    app = opening.doors(application(context.connectors, GroupCommit(store)), context)
    work = [asyncio.create_task(opening.keep_up(context)), asyncio.create_task(_changing(store))]
    while not context.book.ready:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0.05)
    collect_seldom()
    print(token, flush=True)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")
    try:
        await uvicorn.Server(config).serve()
    finally:
        for task in work:
            task.cancel()


# --- a client that is no limit ----------------------------------------------------------------------------------------


def ask(port: int, server: int, requests: Sequence[bytes], rate: float, seconds: float) -> dict[str, float]:
    """Ask for so long: `rate` times a second at times set beforehand, or with 0 as fast as it is answered.

    No framework: plain sockets, and waiting to the microsecond.
    """
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setblocking(False)
    free, out = deque(sockets), dict[socket.socket, tuple[float, bytearray]]()
    took: list[float] = []
    cpu, its, clock = time.process_time(), _cpu(server), time.perf_counter
    began = clock()
    until, sent = began + seconds, 0
    most = math.floor(rate * seconds) if rate else 0
    while True:
        now = clock()
        while free and (began + sent / rate <= now and sent < most if rate else now < until):
            to = free.popleft()
            to.send(requests[sent % len(requests)])
            out[to] = (began + sent / rate if rate else now), bytearray()
            sent += 1
        if not out and (sent >= most if rate else now >= until):
            break
        due = max(0.0, began + sent / rate - clock()) if rate and free and sent < most else 1.0
        for ready in select.select(list(out), (), (), due)[0]:
            since, read = out[ready]
            read += ready.recv(262_144)
            head = read.find(b"\r\n\r\n")
            if head < 0:
                continue
            length = int(read[read.index(b"content-length: ") + 16 :].split(b"\r\n", 1)[0])
            if len(read) < head + 4 + length:
                continue
            took.append(clock() - since)
            if not read.startswith(b"HTTP/1.1 200"):
                raise AssertionError(bytes(read[:300]).decode())
            del out[ready]
            free.append(ready)
    lasted, cpu, its = clock() - began, time.process_time() - cpu, _cpu(server) - its
    for each in sockets:
        each.close()
    took.sort()
    found = {f"p{p}_ms": took[min(len(took) - 1, int(len(took) * p / 100))] * 1000 for p in (50, 99)}
    costs = {"client_us": cpu / len(took) * 1e6, "server_us": its / len(took) * 1e6}
    return {"per_s": len(took) / lasted, **found, "max_ms": took[-1] * 1000, **costs}


def requests(kind: str, token: str) -> list[bytes]:
    """Whole HTTP requests: of one article, of 50, or always of the same."""
    dice = random.Random(11)
    head = f"Host: hub\r\nAuthorization: Bearer {token}\r\n"
    made = []
    for _ in range(2_000):
        if kind == "many":
            skus = ",".join(sku(n) for n in dice.sample(range(COUNTED), LISTED))
            made.append(f"GET {PATH}?skus={skus} HTTP/1.1\r\n{head}\r\n")
        else:
            number = 7 if kind == "hot" else dice.randrange(SKUS)
            made.append(f"GET {PATH}/{sku(number)} HTTP/1.1\r\n{head}\r\n")
    return [each.encode() for each in made]


# --- Odoo -------------------------------------------------------------------------------------------------------------


def ask_odoo(port: int, key: str, database: str, at_once: int, wanted: int, seconds: float) -> dict[str, float]:
    """Ask an Odoo for what is on hand and outgoing of `wanted` articles in one call, so many calls at once."""
    headers = {"Authorization": f"bearer {key}", "X-Odoo-Database": database, "Content-Type": "application/json"}
    took: list[float] = []
    cpu, began = time.process_time(), time.perf_counter()

    def one(seed: int) -> None:
        dice = random.Random(seed)
        while time.perf_counter() - began < seconds:
            asked = [sku(n) for n in dice.sample(range(COUNTED), wanted)]
            leaf = ["default_code", "=", asked[0]] if wanted == 1 else ["default_code", "in", asked]
            fields = ["default_code", "qty_available", "outgoing_qty"]
            sent = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)  # Odoo closes each one anyway
            body = json.dumps({"domain": [leaf], "fields": fields})
            connection.request("POST", "/json/2/product.product/search_read", body, headers)
            rows = json.loads(connection.getresponse().read())
            connection.close()
            took.append(time.perf_counter() - sent)
            if {r["default_code"]: r["qty_available"] - r["outgoing_qty"] for r in rows} != {
                each: quantity(int(each[-6:])) for each in asked
            }:
                raise AssertionError(rows[:3])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lasted = time.perf_counter() - began
    took.sort()
    client = (time.process_time() - cpu) / len(took) * 1e6
    return {"per_s": len(took) / lasted, "p99_ms": took[int(len(took) * 0.99)] * 1000, "client_us": client}


def measure_odoo(database: str, seconds: float) -> dict[str, Any]:
    """A real Odoo 19 with the same articles; of one, two, four and eight calls at once what answers most."""
    with an_odoo("real", database, workers=2) as place:
        odoo = place.api
        fields = ["id", "name", "default_code", "type", "is_storable", "lst_price"]
        numbers: list[int] = []
        for start in range(0, SKUS, 1_000):
            rows = [
                [f"bench.s{n}", f"Article {n}", sku(n), "consu", "True", "19.9"] for n in range(start, start + 1_000)
            ]
            numbers += odoo.load("product.product", fields, rows)
            said(f"Odoo has {len(numbers)} articles")
        warehouse.count_stock(odoo, {numbers[n]: quantity(n) for n in range(COUNTED)})
        script = Path(__file__).resolve().parents[1] / "scripts" / "odoo19"
        status = subprocess.run([script, "status"], stdout=subprocess.PIPE, text=True, check=True).stdout
        said("Odoo's PostgreSQL", json.loads(status)["postgres"])
        port = int(place.url.rpartition(":")[2])
        found: dict[str, Any] = {}
        for name, wanted in (("one", 1), ("many", LISTED)):
            tried = [
                measured("odoo", port, place.api_key, database, at_once, wanted, seconds) for at_once in (1, 2, 4, 8)
            ]
            found[name] = max(tried, key=lambda each: float(each["per_s"]))
            said(f"Odoo, {wanted} at once", found[name])
        return found


# --- memory -----------------------------------------------------------------------------------------------------------


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def memory(url: str, count: int) -> dict[str, float]:
    """MB resident of a process that holds so many articles in its book, each answered once."""
    store = await open_store(url)
    began = time.perf_counter()
    context = _context(store, url)
    book = context.book
    await Follower(store, book, context.feeds("stock")).load()
    took = time.perf_counter() - began
    before = _resident()
    shelf = book.shelf(CHANNEL)
    shelf.end()
    for number in range(count):
        assert shelf.entry(sku(number)) is not None
    await store.close()
    return {"mb": _resident(), "before_answers_mb": before, "loaded_in_s": took}


# --- all of it --------------------------------------------------------------------------------------------------------


def _part(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--part", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measured(*arguments: object) -> dict[str, Any]:
    """One part in a process of its own; what its last line says."""
    process = _part(*arguments)
    out, _ = process.communicate(timeout=WHOLE)
    if process.returncode:
        raise RuntimeError(f"a part of the bench failed with {process.returncode}")
    return dict(json.loads(out.splitlines()[-1]))


def said(title: str, found: Mapping[str, Any] | None = None) -> None:
    rounded = {k: round(v, 2) if isinstance(v, float) else v for k, v in (found or {}).items()}
    print(title, json.dumps(rounded) if found else "", file=sys.stderr, flush=True)


def _cpu(pid: int) -> float:
    """Seconds of processor time a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def storefront(url: str) -> Iterator[tuple[int, str, int]]:
    """(port, token, process) of a storefront in a process of its own."""
    port = free_port()
    process = _part("serve", url, port)
    try:
        assert process.stdout is not None
        token = process.stdout.readline().strip()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield port, token, process.pid
    finally:
        process.terminate()
        process.wait(30)


def measure_reads(folder: str, rate: float, seconds: float) -> dict[str, Any]:
    """Of one article, of 50 and of a hot one: at the fixed rate, and at the limit."""
    url = f"sqlite:///{folder}/reads.db"
    measured("fill", url, SKUS, 3)
    found: dict[str, Any] = {}
    with storefront(url) as (port, token, pid):
        _right(port, token)
        for kind in ("one", "hot", "many"):
            measured("ask", port, pid, token, kind, 0, 1.0)  # warm
            for name, at in ((f"{kind} at {rate:g}/s", rate), (f"{kind} at the limit", 0.0)):
                found[name] = measured("ask", port, pid, token, kind, at, seconds)
                said(name, found[name])
    return found


def _right(port: int, token: str) -> None:
    """What is answered is what there is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asked = json.dumps({"skus": [sku(n) for n in range(0, COUNTED, 2)]})
    connection.request("POST", PATH, asked, {"Authorization": f"Bearer {token}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    wrong = [each for each in answer["items"] if each["quantity"] != quantity(int(each["sku"][-6:]))]
    if wrong or len(answer["items"]) != COUNTED / 2 or answer["stale"]:
        raise AssertionError(wrong[:3] or answer["unknown"][:3] or "stale")


def reservations(seconds: float) -> dict[str, Any]:
    """What bench/reservations.py says, settings included."""
    script = Path(__file__).with_name("reservations.py")
    command = [sys.executable, script, "--seconds", str(seconds)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = dict(json.loads(ended.stdout.splitlines()[-1]))
    for kind, figures in found.items():
        said(f"reservations, {kind}", figures)
    return {
        "reservations_per_s": {kind: round(figures["per_s"]) for kind, figures in found.items()},
        "reservation_p99_ms": {kind: round(figures["p99_ms"], 1) for kind, figures in found.items()},
    }


def part(name: str, *rest: str) -> None:
    """One side of a measurement, in a process of its own."""
    match name:
        case "serve":
            uvloop.run(serve(rest[0], int(rest[1])))
        case "fill":
            uvloop.run(fill(rest[0], int(rest[1]), int(rest[2])))
            print("{}")
        case "ask":
            made = requests(rest[3], rest[2])
            print(json.dumps(ask(int(rest[0]), int(rest[1]), made, float(rest[4]), float(rest[5]))))
        case "odoo":
            asked = ask_odoo(int(rest[0]), rest[1], rest[2], int(rest[3]), int(rest[4]), float(rest[5]))
            print(json.dumps(asked))
        case "memory":
            print(json.dumps(uvloop.run(memory(rest[0], int(rest[1])))))


async def _durability(url: str) -> dict[str, str]:
    store = await open_store(url)
    try:
        return await store.durability()
    finally:
        await store.close()


def main() -> int:
    """The whole bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rate", type=float, default=2_000.0, help="requests a second at the fixed rate")
    parser.add_argument("--database", default="cf_storefront", help="of the Odoo, made and dropped")
    parser.add_argument("--without", nargs="*", default=[], choices=["odoo", "reservations", "memory"])
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part(*options.part)
        return 0
    verdict: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="counterfoil-storefront-") as folder:
        reads = measure_reads(folder, options.rate, options.seconds)
        said("durability", asyncio.run(_durability(f"sqlite:///{folder}/reads.db")))
        verdict["reads_per_s"] = round(reads["one at the limit"]["per_s"])
        verdict["read_p99_ms_at_2000"] = round(reads[f"one at {options.rate:g}/s"]["p99_ms"], 2)
        verdict["reads50_per_s"] = round(reads["many at the limit"]["per_s"])
        if "odoo" not in options.without:
            odoo = measure_odoo(options.database, options.seconds)
            verdict["odoo_reads_per_s"] = round(odoo["one"]["per_s"], 1)
            said("times Odoo's", {"one": verdict["reads_per_s"] / odoo["one"]["per_s"]})
        if "reservations" not in options.without:
            verdict |= reservations(options.seconds)
        if "memory" not in options.without:
            url = f"sqlite:///{folder}/memory.db"
            measured("fill", url, 100_000, 20)
            found = measured("memory", url, 100_000)
            said("100,000 articles at 20 places", found)
            verdict["rss_mb_100k_skus"] = round(found["mb"])
    print(json.dumps(verdict))
    return 0


if __name__ == "__main__":
    sys.exit(main())
