"""How fast people are shown what they ask for, as the store grows: each page and search, and what workers feel of it.

A store of so many events of the last 30 days (orders of six facts each, with 150 bytes of data; their keys, deliveries
done, receipts and customers), 10,000 open exceptions and 2,000 deliveries under way, beside an empty one. Each page and
search is timed in a real browser (bench/console_pages.py), and before that what stands behind it: each view is asked
so many times, past the memory that open pages share; searches each time for something else. Then a worker delivers, by
turns with nobody looking and with one and ten open *Today* pages. Durability settings are printed. Last line: one JSON
object.

    python bench/console.py [--events 1000000] [--exceptions 10000] [--times 30] [--only sqlite]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvloop

from console_hub import serve
from console_pages import CUSTOMERS, NAMED, SKUS, address, asked, beside, timed
from counterfoil.doors.serve import collect_seldom
from counterfoil.hub import schema, tallying
from counterfoil.hub.store import Store, open_store
from counterfoil.hub.views import flows, journey, money, people, picture, reports, search, systems, today
from counterfoil.hub.worker import streams_of
from counterfoil.retail.events import hashed_ref
from hub import an_event, fill, house

REPOSITORY = Path(__file__).resolve().parents[1]
PER_ORDER = 6
"""Events of an order."""
DAYS = 30
KINDS = ("order.placed", "order.accepted", "order.noted", "shipment.dispatched", "order.invoiced", "order.told")

_SERIES = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"


def _text(expression: str) -> str:
    return f"CAST({expression} AS TEXT)"


def statements(is_sqlite: bool) -> dict[str, str]:
    """What fills the store, in the database itself: by rows counted from 0."""

    def as_json(text: str) -> str:
        return text if is_sqlite else f"({text})::json"

    nothing, no = as_json("'{}'"), "0" if is_sqlite else "false"
    body = "x'7b7d'" if is_sqlite else "'\\x7b7d'::bytea"
    at, i = ":now - (:count - i) * :apart", _text("i")
    subject, order = f"'web:order:' || {_text(f'(i / {PER_ORDER})')}", f"'web:order:' || {i}"
    kind = "CASE i % 6 " + " ".join(f"WHEN {n} THEN '{name}'" for n, name in enumerate(KINDS)) + " END"
    customer = _text(f"(i % {CUSTOMERS})")
    state = as_json(
        f"""'{{"system": "web", "number": "N' || {i} || '", "status": "processing", "total": "12.00 EUR", '
        || '"placed_at": "2026-11-02T09:00:00Z", "payments": [{{"method": "card", "reference": "ch_' || {i} || '",
        "amount": "12.00 EUR", "paid_at": "2026-11-02T09:00:00Z"}}],
        "customer": {{"name": "Ada Lovelace", "email": "c' || {customer} || '@mail.example"}}}}'"""
    )
    data = as_json(f"""'{{"filler": "{"x" * 120}"}}'""")
    keys = {
        **{"order": f"'n' || {i}", "id": i, "payment": f"'ch_' || {i}", "tracking": f"'00340' || {i}"},
        **{"invoice": f"'inv/2026/' || {i}", "erp": f"'s' || {i}", "email": f"'fingerprint-' || {customer}"},
        "sku": f"CASE WHEN i % 2 = 0 THEN 'sku-0' ELSE 'sku-' || {_text(f'(i % {SKUS})')} END",
    }
    found = {
        f"keys {name}": f"""INSERT INTO search_key (thing, value, subject, kind, at) {_SERIES}
            SELECT 'order', {value}, {order}, '{name}', {at} FROM n"""
        for name, value in keys.items()
    }
    return {
        "events": f"""INSERT INTO event
            (id, type, source, subject, key, time, recorded_at, correlation, data) {_SERIES}
            SELECT 'past-' || {i}, {kind}, CASE WHEN i % 6 IN (0, 2, 5) THEN 'web' ELSE 'odoo' END,
                {subject}, {subject}, {at}, {at}, '', {data} FROM n""",
        "deliveries": f"""INSERT INTO delivery_log
            (delivery_id, event_id, system, operation, subject, attempt, outcome, reason, detail, created_at,
                promise_by, started_at, ended_at, worker) {_SERIES}
            SELECT -1 - i, 'past-' || {i}, CASE WHEN i % 6 = 0 THEN 'odoo' ELSE 'sink-a' END,
                CASE WHEN i % 6 = 0 THEN 'accept_order' ELSE 'take' END, {subject}, 1, 'done', '', {nothing}, {at},
                CASE WHEN i % 6 = 0 THEN {at} + 60 END, {at} + 1, {at} + 1 + i % 7, '' FROM n""",
        "objects": f"""INSERT INTO object
            (system, kind, object_id, version, digest, state, stage, canonical_id, updated_at) {_SERIES}
            SELECT 'web', 'order', {i}, '', '', {state}, 'placed', {order}, :now FROM n""",
        "receipts": f"""INSERT INTO receipt
            (system, kind, object_id, digest, origin, received_at, body, headers) {_SERIES}
            SELECT 'web', 'order', {i}, '', 'webhook', {at}, {body}, {nothing} FROM n""",
        "exceptions": f"""INSERT INTO exception
            (status, opened_at, system, stream, key, operation, subject, outcome, reason, message, technical,
                suggestion, owner, held, created_at, delivery_id) {_SERIES}
            SELECT 'open', :now - i, 'odoo', 'order', {i}, 'accept_order', {order},
                CASE WHEN i % 3 = 0 THEN 'rejected' ELSE 'misconfigured' END, 'reason_' || {_text("(i % 20)")},
                'No product.', '', 'Make it.', CASE WHEN i % 4 = 0 THEN 'finance' ELSE 'shop-manager' END, {no},
                :now - i, -1 - i FROM n""",
        **found,
    }


async def grow(url: str, events: int, exceptions: int) -> None:
    """Fill the store."""
    store = await open_store(url)
    orders = max(1, events // PER_ORDER)
    counts = {"events": events, "deliveries": events, "exceptions": exceptions}
    async with store.read() as connection:
        now = await store.clock(connection)
    for name, sql in statements(store.is_sqlite).items():
        count = counts.get(name, orders)
        values: dict[str, Any] = {"count": count, "now": now, "apart": DAYS * 86400.0 / count}
        wanted = {key: value for key, value in values.items() if f":{key}" in sql}
        kinds = [sa.bindparam("count", type_=sa.Integer()), sa.bindparam("now", type_=sa.Double())]
        kinds += [sa.bindparam("apart", type_=sa.Double())]
        typed = [kind for kind in kinds if kind.key in wanted]
        async with store.write() as connection:
            await connection.execute(sa.text(sql).bindparams(*typed), wanted)
    async with store.write() as connection:
        key = schema.search_key.c
        for number in range(NAMED):
            real = hashed_ref(address(number))
            mine = (key.thing == "order", key.value == f"fingerprint-{number}")
            await connection.execute(sa.update(schema.search_key).where(*mine).values(value=real))
    blueprint, worker = house(store)
    await fill(store, blueprint, worker.streams, [an_event(n) for n in range(700)])
    await tallying.catch_up(store)  # as the hub does while it runs
    async with store.write() as connection:
        await connection.execute(sa.text("ANALYZE"))
    await store.close()


def views(store: Store, orders: int) -> dict[str, Callable[[random.Random], Awaitable[Any]]]:
    """What is asked, past the memory of `shared`."""
    blueprint, worker = house(store)
    streams = {**worker.streams, **streams_of({})}
    named = tuple(blueprint.systems)

    def find(text: Callable[[random.Random], str]) -> Callable[[random.Random], Awaitable[Any]]:
        return lambda dice: search.find(store, text(dice), (*named, "web", "odoo"), may_see=True)

    return {
        **{f"search: {name}": find(text) for name, text in asked(orders).items()},
        "today": lambda d: today._look(store, blueprint, streams, "Europe/Paris"),
        "journey": lambda d: _drawn(store, f"web:order:{d.randrange(max(1, orders))}"),
        "customer": lambda d: people.customer(store, address(d.randrange(NAMED))),
        "money": lambda d: money._look(store),
        "flows": lambda d: flows.all_of(store, streams),
        "systems": lambda d: systems.all_of(store, blueprint, streams),
        "reports, 7 days": lambda d: reports._report(store, 7, "Europe/Paris"),
        "reports, 30 days": lambda d: reports._report(store, DAYS, "Europe/Paris"),
    }


async def _drawn(store: Store, subject: str) -> str:
    found = await journey.of(store, subject)
    return picture.svg(found) if found else ""


async def look(url: str, orders: int, times: int) -> dict[str, Any]:
    """Median and p95 of each view, in ms."""
    store = await open_store(url)
    collect_seldom()
    found: dict[str, Any] = {}
    for name, ask in views(store, orders).items():
        dice = random.Random(name)
        took = []
        for turn in range(times + 2):  # the first two warm up statements and caches
            began = time.perf_counter()
            await ask(dice)
            if turn > 1:
                took.append((time.perf_counter() - began) * 1000)
        took.sort()
        found[name] = {"p50": statistics.median(took), "p95": took[min(len(took) - 1, int(len(took) * 0.95))]}
    found["settings"] = await store.durability()
    await store.close()
    return found


# --- the parts, each in a process of its own ------------------------------------------------------------------------

PARTS: dict[str, Callable[..., Any]] = {
    "grow": lambda url, events, exceptions: grow(url, int(events), int(exceptions)),
    "look": lambda url, orders, times: look(url, int(orders), int(times)),
    "timed": lambda full, empty, *counts: timed(full, empty, *map(int, counts)),
    "beside": beside,
    "serve": serve,
}


def measured(*arguments: object) -> Any:
    """A part in a process of its own; its answer."""
    command = [sys.executable, __file__, "part", *map(str, arguments)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=REPOSITORY / "bench")
    if ended.returncode:
        raise SystemExit(f"the part {arguments[0]} has failed")
    return json.loads((ended.stdout.splitlines() or ["null"])[-1])


@contextlib.contextmanager
def stores(only: str) -> Iterator[dict[str, tuple[str, str]]]:
    """For each kind of store two addresses: one to fill, one that stays empty."""
    script, names = str(REPOSITORY / "scripts" / "postgres"), [f"bench_console_{os.getpid()}_{n}" for n in range(2)]
    # on the same disk as PostgreSQL's, and not in a /tmp that may be memory
    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-", dir="/var/tmp") as folder:
        found = {"sqlite": (f"sqlite:///{folder}/full.db", f"sqlite:///{folder}/empty.db")}
        postgres = only != "sqlite" and subprocess.run([script, "up"], capture_output=True, check=False).returncode == 0
        if postgres:
            made = [subprocess.run([script, "createdb", n], capture_output=True, text=True, check=True) for n in names]
            full, empty = (each.stdout.splitlines()[-1] for each in made)
            found["postgresql"] = (full, empty)
        if only:
            found = {kind: urls for kind, urls in found.items() if kind == only}
        try:
            yield found
        finally:
            for name in names if postgres else ():
                subprocess.run([script, "dropdb", name], capture_output=True, check=False)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--exceptions", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--only", default="", choices=("", "sqlite", "postgresql"))
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with stores(options.only) as found:
        for kind, (full, empty) in found.items():
            began = time.perf_counter()
            measured("grow", full, options.events, options.exceptions)
            orders = options.events // PER_ORDER
            print(f"{kind}: {options.events:,} events filled in {time.perf_counter() - began:.0f} s", flush=True)
            grown, bare = measured("look", full, orders, options.times), measured("look", empty, orders, options.times)
            print(f"  {grown.pop('settings')}")
            bare.pop("settings")
            for name, took in grown.items():
                took |= {"empty": bare[name]["p50"], "ratio": took["p50"] / bare[name]["p50"]}
            _table("views, ms", grown)
            pages = measured("timed", full, empty, orders, options.exceptions, options.times)
            _table("pages in a browser, ms", pages)
            workers = measured("beside", full)
            for n, each in workers.items():
                windows = " ".join(f"{ratio:.2f}" for ratio in each["windows"])
                print(
                    f"  deliveries/s with {n:>2} open Today pages {each['per_s']:.0f}: ratio {each['ratio']:.3f} "
                    f"(standard error {each['error']:.3f}), by processor time {each['ratio_by_processor_time']:.3f} "
                    f"(by windows: {windows})",
                    flush=True,
                )
            result[kind] = {"views": grown, "pages": pages, "workers": workers}
    print(json.dumps(result))


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    print(f"  {title:<36}{'p50':>8}{'p95':>8}{'empty':>8}{'ratio':>8}")
    for name, took in rows.items():
        print(f"  {name:<36}" + "".join(f"{took[of]:8.1f}" for of in ("p50", "p95", "empty", "ratio")))
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        print(json.dumps(uvloop.run(PARTS[sys.argv[2]](*sys.argv[3:]))))
    else:
        main()
