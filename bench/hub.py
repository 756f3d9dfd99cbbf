"""How fast the hub itself is, durability on: the door, delivery, and what happens to both as the store grows.

Intake: webhooks of 6 kB over HTTP, signature checked, committed before the 202; beside it the same route without a
store, as the ceiling. The client is a process of its own. Delivery: events of 6 kB with three deliveries each, to an
operation that does nothing but return; outcomes and log are written. Last line: one JSON object.

    python bench/hub.py [--requests 20000] [--events 20000] [--growth 1000000]

With --growth also: claims and deliveries beside so many finished, one hot key, memory, wake-up when idle, several
workers on a slow system, and the same work done by DBOS and by Celery with Redis (bench/others.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvicorn
import uvloop

import others
from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.connectors.woocommerce.webhooks import signature
from counterfoil.doors.serve import collect_seldom
from counterfoil.doors.webhooks import application
from counterfoil.hub import claiming, flows, lanes, records
from counterfoil.hub.contract import Item, Operation, Outcome, done
from counterfoil.hub.receipts import Arrival, GroupCommit
from counterfoil.hub.schema import delivery_log, event
from counterfoil.hub.store import Store, open_store
from counterfoil.hub.worker import Worker
from counterfoil.retail.events import EVENT_TYPES, Event, at_utc
from counterfoil_sandbox.serving import free_port

REPOSITORY = Path(__file__).resolve().parents[1]
SECRET = "whsec_bench"
BODY = 6_000
CONNECTIONS = 64
SINKS = ("sink-a", "sink-b", "sink-c")


# --- the door -------------------------------------------------------------------------------------------------------


class NoStore(GroupCommit):
    """Keeps nothing: what is left is HTTP and the signature."""

    def __init__(self) -> None:
        pass

    async def take(self, arrival: Arrival) -> None:
        return


async def serve_door(url: str, port: int) -> None:
    """The webhook door alone, on a store or on none."""
    settings = {"url": "http://127.0.0.1:9", "consumer_key": "k", "consumer_secret": "s", "webhook_secret": SECRET}
    store = await open_store(url) if url else None
    app = application({"web": WooCommerce("web", settings)}, GroupCommit(store) if store else NoStore())
    collect_seldom()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")
    await uvicorn.Server(config).serve()


def webhook(number: int) -> bytes:
    """One whole HTTP request: an order of 6 kB, signed."""
    body = json.dumps({"id": number, "status": "processing", "note": "x" * (BODY - 60)}).encode()
    head = (
        f"POST /webhooks/web HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-WC-Webhook-Topic: order.updated\r\nX-WC-Webhook-Resource: order\r\nX-WC-Webhook-Event: updated\r\n"
        f"X-WC-Webhook-Signature: {signature(SECRET, body)}\r\n\r\n"
    )
    return head.encode() + body


async def knock(port: int, count: int) -> dict[str, float]:
    """Send so many webhooks over some connections, each after the answer to the one before."""
    requests = iter([webhook(number) for number in range(1, count + 1)])
    seconds: list[float] = []

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            sent = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - sent)
            if b" 202 " not in head[:16]:
                raise AssertionError(head.decode())
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    took = time.perf_counter() - began
    seconds.sort()
    return {"per_s": count / took, "p99_ms": seconds[int(len(seconds) * 0.99)] * 1000}


def measure_door(url: str, count: int) -> dict[str, float]:
    """The door in one process, the client in another."""
    port = free_port()
    server = _part("serve", url, str(port))
    try:
        _reachable(port)
        return json.loads(_answer(_part("knock", str(port), str(count))))
    finally:
        server.terminate()
        server.wait(30)


# --- delivery -------------------------------------------------------------------------------------------------------

FLOWS = "\n".join(f"  - {{on: order.placed, from: web, do: {sink}.take}}" for sink in SINKS)
BLUEPRINT = "counterfoil: 1\nsystems:\n  web: {connector: sink}\n" + "".join(
    f"  {sink}: {{connector: sink}}\n" for sink in SINKS
)


class Sink:
    """A system whose only operation does nothing but return."""

    feeds: Sequence[Any] = ()

    def __init__(self, takes: float = 0.0, batch: int = 200, parallel: int = 2) -> None:
        self.takes = takes
        self.operations: Mapping[str, Operation] = {
            "take": Operation("take", "order", self._take, batch=batch, parallel=parallel)
        }

    async def _take(self, items: Sequence[Item]) -> list[Outcome]:
        if self.takes:
            await asyncio.sleep(self.takes)
        return [done({}) for _ in items]


def house(store: Store, **sink: Any) -> tuple[Blueprint, Worker]:
    """A blueprint with three sinks, and a worker for it."""
    info = ConnectorInfo("sink", operations=(OperationInfo("take", "order"),), needs_url=False)
    blueprint = parse(f"{BLUEPRINT}flows:\n{FLOWS}\n", known=Catalogue.of([info], frozenset(EVENT_TYPES)))
    connectors: dict[str, Any] = {name: Sink(**sink) for name in SINKS}
    return blueprint, Worker(store, blueprint, connectors, {})


def an_event(number: int, key: str = "") -> Event:
    """An order of 6 kB."""
    subject = f"web:order:{number}"
    return Event(
        id=f"bench-{number}",
        type="order.placed",
        source="web",
        subject=subject,
        key=key or subject,
        time=at_utc(time.time()),
        correlation=subject,
        data={"order": "x" * (BODY - 60)},
    )


async def fill(store: Store, blueprint: Blueprint, streams: Mapping[str, str], events: Sequence[Event]) -> None:
    """Events with their deliveries, as a decoder leaves them."""
    for start in range(0, len(events), 500):
        some = events[start : start + 500]
        async with store.write() as connection:
            await records.keep_events(connection, store, some)
            await lanes.enqueue(connection, store, [d for e in some for d in flows.deliveries(blueprint, streams, e)])


async def deliver(url: str, count: int) -> dict[str, Any]:
    """Deliveries a second with one worker."""
    store = await open_store(url)
    blueprint, worker = house(store)
    await fill(store, blueprint, worker.streams, [an_event(n) for n in range(count)])
    collect_seldom()
    began = time.perf_counter()
    await worker.drain(limit=3600)
    took = time.perf_counter() - began
    settings = await store.durability()
    await store.close()
    return {"per_s": count * len(SINKS) / took, "settings": settings}


# --- as it grows ----------------------------------------------------------------------------------------------------


def _finished(store: Store) -> sa.Insert:
    text = {n: sa.bindparam(n) for n in ("event_id", "subject")}
    fixed = {"system": "'sink-a'", "operation": "'take'", "outcome": "'done'", "reason": "''", "detail": "'{}'"}
    fixed |= {"attempt": "1", "started_at": "0", "ended_at": "0", "created_at": "0", "worker": "''"}
    literal = {n: sa.literal_column(v) for n, v in fixed.items()}
    return sa.insert(delivery_log).values({**text, "delivery_id": sa.bindparam("delivery_id"), **literal})


def _past(store: Store) -> sa.Insert:
    text = {n: sa.bindparam(n) for n in ("id", "subject")}
    fixed = {"type": "'order.placed'", "source": "'web'", "key": "''", "time": "0", "recorded_at": "0"}
    fixed |= {"correlation": "''", "data": "'{}'"}
    return sa.insert(event).values({**text, **{n: sa.literal_column(v) for n, v in fixed.items()}})


async def finish(store: Store, count: int) -> None:
    """So many finished deliveries, three of an event, as years of work leave them."""
    for start in range(0, count, 30_000):
        numbers = range(start, min(start + 30_000, count))
        async with store.write() as connection:
            past = [{"id": f"past-{n}", "subject": f"web:order:p{n}"} for n in numbers if n % 3 == 0]
            await store.each(connection, _past, past)
            rows = [
                {"event_id": f"past-{n // 3}", "subject": f"web:order:p{n // 3}", "delivery_id": -n} for n in numbers
            ]
            await store.each(connection, _finished, rows)


async def grown(url: str, finished: int, count: int) -> dict[str, float]:
    """Claim time (median, 100 lanes) and deliveries a second beside so many finished."""
    store = await open_store(url)
    blueprint, worker = house(store)
    await finish(store, finished)
    await fill(store, blueprint, worker.streams, [an_event(n) for n in range(count)])
    async with store.write() as connection:
        if not store.is_sqlite:
            await connection.execute(sa.text("ANALYZE"))
    claims: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        works = await claiming.claim(store, "bench", SINKS[0], "order", 100, 60.0)
        claims.append(time.perf_counter() - began)
        await lanes.release(store, {w.lane: w.token for w in works})
    collect_seldom()
    began = time.perf_counter()
    await worker.drain(limit=3600)
    took = time.perf_counter() - began
    await store.close()
    return {"claim_ms": statistics.median(claims) * 1000, "per_s": count * len(SINKS) / took}


async def hot(url: str, count: int) -> dict[str, float]:
    """Deliveries a second where all events are of one key, and so one after another."""
    store = await open_store(url)
    blueprint, worker = house(store)
    await fill(store, blueprint, worker.streams, [an_event(n, "web:order:hot") for n in range(count)])
    began = time.perf_counter()
    await worker.drain(limit=3600)
    took = time.perf_counter() - began
    await store.close()
    return {"per_s": count * len(SINKS) / took}


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def memory(url: str, count: int) -> dict[str, float]:
    """Resident MB after a tenth and after all of so many deliveries, in waves of 5,000 events."""
    store = await open_store(url)
    blueprint, worker = house(store)
    seen: list[float] = []
    for start in range(0, count // len(SINKS), 5_000):
        await fill(store, blueprint, worker.streams, [an_event(n) for n in range(start, start + 5_000)])
        await worker.drain(limit=3600)
        seen.append(_resident())
    await store.close()
    return {"first_mb": seen[len(seen) // 10], "last_mb": seen[-1], "most_mb": max(seen)}


async def wake(url: str, count: int) -> dict[str, float]:
    """From the commit of an event (on PostgreSQL by other connections) until the idle worker's call, in ms."""
    store, other = await open_store(url), None
    if not store.is_sqlite:
        other = await open_store(url)
    blueprint, worker = house(store)
    called: asyncio.Queue[float] = asyncio.Queue()

    async def take(items: Sequence[Item]) -> list[Outcome]:
        called.put_nowait(time.perf_counter())
        return [done({}) for _ in items]

    worker.operations[(SINKS[0], "take")] = Operation("take", "order", take)
    task = asyncio.create_task(worker.run())
    waits: list[float] = []
    dice = random.Random(7)
    for number in range(count):
        await asyncio.sleep(dice.uniform(0.05, 0.15))  # until it is idle again: the time between two is no measure
        await fill(other or store, blueprint, worker.streams, [an_event(number)])
        committed = time.perf_counter()
        waits.append(max(0.0, await called.get() - committed))
    worker.stop()
    await task
    for each in (store, other):
        if each is not None:
            await each.close()
    waits.sort()
    return {"p50_ms": waits[len(waits) // 2] * 1000, "p99_ms": waits[int(len(waits) * 0.99)] * 1000}


async def work(url: str) -> None:
    """One of several worker processes, on a system that takes 50 ms for a call; until it is told to stop."""
    store = await open_store(url)
    _, worker = house(store, takes=0.05, batch=5)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    print("ready", flush=True)
    await worker.run()
    await store.close()


async def scaled(url: str, workers: int, count: int) -> dict[str, float]:
    """Deliveries a second with so many worker processes."""
    store = await open_store(url)
    blueprint, worker = house(store)
    processes = [_part("work", url) for _ in range(workers)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    began = time.perf_counter()
    await fill(store, blueprint, worker.streams, [an_event(n) for n in range(count)])
    while (await lanes.depth(store))["deliveries"]:  # noqa: ASYNC110 - the work is other processes'
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    for process in processes:
        process.terminate()
        process.wait(30)
    await store.close()
    return {"per_s": count * len(SINKS) / took}


# --- all of it ------------------------------------------------------------------------------------------------------


def _part(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, "--part", *arguments], stdout=subprocess.PIPE, text=True)


def _answer(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a part of the bench failed with {process.returncode}")
    return out.splitlines()[-1]


def _reachable(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("the door does not open")


@contextlib.contextmanager
def stores() -> Iterator[dict[str, Callable[[], str]]]:
    """A fresh database of each kind for each call."""
    numbers = itertools.count()
    script = str(REPOSITORY / "scripts" / "postgres")
    made: list[str] = []
    subprocess.run([script, "up"], check=True, stdout=2)

    def postgresql() -> str:
        made.append(f"cf_bench_{os.getpid()}_{next(numbers)}")
        told = subprocess.run([script, "createdb", made[-1]], check=True, stdout=subprocess.PIPE, text=True)
        return told.stdout.splitlines()[-1]

    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-") as folder:
        try:
            yield {"sqlite": lambda: f"sqlite:///{folder}/{next(numbers)}.db", "postgresql": postgresql}
        finally:
            for name in made:
                subprocess.run([script, "dropdb", name], check=True, stdout=2)


def part(name: str, *rest: str) -> None:
    """One side of a measurement, in a process of its own."""
    match name:
        case "serve":
            uvloop.run(serve_door(rest[0], int(rest[1])))
        case "knock":
            print(json.dumps(uvloop.run(knock(int(rest[0]), int(rest[1])))))
        case "work":
            uvloop.run(work(rest[0]))
        case _:
            measure = {f.__name__: f for f in (deliver, grown, hot, memory, wake, scaled)}[name]
            print(json.dumps(uvloop.run(measure(rest[0], *map(int, rest[1:])))))  # type: ignore[operator]


def main() -> None:
    """The whole bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--growth", type=int, nargs="*", default=[], help="finished deliveries, such as 1000000")
    parser.add_argument("--hot", type=int, default=20_000, help="events of one key")
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="for the memory")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        return part(*options.part)
    verdict: dict[str, Any] = {"settings": {}}
    verdict["http_ceiling_per_s"] = round(measure_door("", options.requests)["per_s"])
    with stores() as fresh:
        for kind, make in fresh.items():
            door = measure_door(make(), options.requests)
            delivered = measured("deliver", make(), options.events)
            verdict["settings"] |= delivered.pop("settings")
            verdict[kind] = {
                "intake_per_s": round(door["per_s"]),
                "intake_p99_ms": round(door["p99_ms"], 1),
                "delivered_per_s": round(delivered["per_s"]),
            }
            said(kind, verdict[kind])
            if options.growth:
                said(f"{kind} as it grows", growth(kind, make, options))
        if options.growth:
            said("others", others.measure(fresh["postgresql"]()))
    print(json.dumps(verdict))


def growth(kind: str, make: Callable[[], str], options: argparse.Namespace) -> dict[str, Any]:
    """What happens to the figures as the store, the number of workers or a lane grows."""
    sizes = {n: measured("grown", make(), n, options.events // 4) for n in (10_000, *options.growth)}
    small = sizes[10_000]
    found: dict[str, Any] = {"beside 10,000 finished": small}
    for n in options.growth:
        ratios = {"claim": sizes[n]["claim_ms"] / small["claim_ms"], "delivered": sizes[n]["per_s"] / small["per_s"]}
        found[f"beside {n:,} finished"] = {**sizes[n], **{f"{k}_ratio": round(v, 2) for k, v in ratios.items()}}
    found["idle until called"] = measured("wake", make(), 200)
    found["one hot key"] = measured("hot", make(), options.hot)
    found["memory"] = measured("memory", make(), options.deliveries)
    if kind == "postgresql":
        found["workers"] = {n: measured("scaled", make(), n, 400 * n) for n in (1, 2, 4)}
    return found


def measured(name: str, *arguments: Any) -> dict[str, Any]:
    """One measurement in a process of its own."""
    return dict(json.loads(_answer(_part(name, *map(str, arguments)))))


def said(title: str, found: dict[str, Any]) -> None:
    print(f"{title}: {json.dumps(found)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
