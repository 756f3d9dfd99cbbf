"""What the tests of the durable core stand on: a connector to nothing, payloads for it, and a small house of both.

The fake holds in memory what was done to it, so a test can ask "what stands there now, and how often was it made?".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.hub import receipts, replay, replays, schema
from counterfoil.hub.contract import (
    BadPayload,
    Failure,
    Feed,
    Finding,
    Item,
    Kind,
    Observed,
    Operation,
    Outcome,
    Page,
    Raw,
    Refused,
    done,
)
from counterfoil.hub.decode import Process
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.replay import Choice
from counterfoil.hub.replays import Job
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker
from counterfoil.processes.changes import changes, retells
from counterfoil.processes.fulfilment import fulfilments
from counterfoil.processes.orders import orders
from counterfoil.retail.entity import Entity
from counterfoil.retail.events import EVENT_TYPES
from counterfoil.retail.fulfilment import Fulfilment
from counterfoil.retail.money import Money
from counterfoil.retail.order import Line, LineKind, Order, Payment, Refund
from counterfoil.retail.party import Address, Customer
from counterfoil.retail.product import Place, StockLevel

SHOP, ERP = "shop", "erp"

OPERATIONS = (
    OperationInfo("accept_order", "order", ("order.accepted",)),
    OperationInfo("cancel_order", "order", ("order.closed",)),
    OperationInfo("note_order", "order", ("order.noted",)),
    OperationInfo("post_refund", "money"),
    OperationInfo("tell_order", "order", ("order.told",), state=True),
    OperationInfo("publish_stock", "stock", state=True),
    OperationInfo("publish_product", "product", ("product.published",), state=True),
)
COALESCING = {"tell_order", "publish_stock"}
CATALOGUE = Catalogue.of(
    [ConnectorInfo("fake", operations=OPERATIONS, needs_url=False, is_channel=True)], frozenset(EVENT_TYPES)
)

FLOWS = """\
  - {on: order.placed, from: shop, do: erp.accept_order}
  - {on: order.paid, from: shop, do: erp.accept_order}
  - {on: order.cancelled, from: shop, do: erp.cancel_order}
"""


def blueprint(flows: str = FLOWS, more: str = "") -> Blueprint:
    """A shop and an ERP, both fake, and these flows."""
    systems = f"systems:\n  {SHOP}: {{connector: fake}}\n  {ERP}: {{connector: fake}}\n"
    return parse(f"counterfoil: 1\n{systems}flows:\n{flows}{more}", known=CATALOGUE)


# --- payloads: the fake shop's own JSON ----------------------------------------------------------------------


def payload(number: int | str = 1, **changes: Any) -> bytes:
    """An order as the fake shop tells it: processing, 12.00 EUR, touched at 10:00:00, unless changed."""
    state = {
        "id": str(number),
        "status": "processing",
        "total": "12.00",
        "modified": "2026-11-02T10:00:00+00:00",
        "placed": "2026-11-02T09:00:00+00:00",
        "paid": None,
        "email": "",
        "payment": "",
        "sku": "MUG",
        "product_id": "",
        "street": "1 rue Haute",
        "refunds": [],
        "note": "",
        "erp_number": "",
    }
    return json.dumps(state | changes).encode()


def at(seconds: int) -> str:
    """A moment so many seconds after 10:00:00 of the day all tests take place."""
    return f"2026-11-02T10:{seconds // 60:02}:{seconds % 60:02}+00:00"


def raw(body: bytes, object_id: str = "") -> Raw:
    """The body with the cheap key a door would take; for a body that is no JSON, say the id."""
    return Raw("order", object_id or str(json.loads(body)["id"]), body)


def arrival(body: bytes, object_id: str = "", origin: str = "webhook") -> Arrival:
    """The body as it came in from the shop."""
    return Arrival(SHOP, origin, raw(body, object_id))


def order(**changes: Any) -> Order:
    """The same order as `payload`, in the retail language."""
    return decode_order(SHOP, payload(**changes))


def subject(number: int | str = 1) -> str:
    """The canonical id of the fake shop's order."""
    return f"{SHOP}:order:{number}"


def decode_order(system: str, body: bytes) -> Order:
    """The fake shop's JSON in the retail language. Raises BadPayload; KeyError where a field is missing."""
    try:
        state = json.loads(body)
    except ValueError as error:
        raise BadPayload("not_json", "The body is not JSON.", "Look at the shop's log.") from error
    if state["status"] == "gone":
        raise BadPayload("deleted", "The order was deleted.", "Look whether it is still wanted.")
    total, zero = Money.of(state["total"], "EUR"), Money.zero("EUR")
    paid = {"paid_at": state["paid"]} if state["paid"] else {}
    payments = (Payment(method="card", reference=state["payment"], amount=total, **paid),)
    return Order(
        system=system,
        id=state["id"],
        number=f"N{state['id']}",
        status=state["status"],
        currency="EUR",
        placed_at=state["placed"],
        modified_at=state["modified"],
        customer=Customer(email=state["email"]),
        billing=Address(street=state["street"]),
        lines=(
            Line(
                id="1", kind=LineKind.PRODUCT, name="Mug", net=total, sku=state["sku"], product_id=state["product_id"]
            ),
        ),
        payments=payments if state["paid"] or state["payment"] else (),
        refunds=tuple(Refund(id=str(i), amount=Money.of(a, "EUR")) for i, a in enumerate(state["refunds"])),
        total=total,
        tax_told=zero,
        rounding=zero,
        note=state["note"],
        erp_number=state["erp_number"],
    )


def stock_level(quantity: int, number: int = 1) -> StockLevel:
    """So many mugs in the ERP's only warehouse."""
    places = (Place(warehouse="WH", on_hand=Decimal(quantity)),)
    return StockLevel(system=ERP, id=str(number), sku=f"MUG-{number}", places=places)


def told_by_erp(kind: str, state: Entity, read_at: str, object_id: str = "") -> Arrival:
    """A composite receipt of the ERP: the state as JSON, and when it was read."""
    id_ = object_id or state.canonical_id.rpartition(":")[2]
    return Arrival(ERP, "poll", Raw(kind, id_, state.model_dump_json().encode(), {"read_at": read_at}))


ERP_KINDS: dict[str, type[Entity]] = {"stock": StockLevel, "fulfilment": Fulfilment}


# --- the fake connector ---------------------------------------------------------------------------------------

Step = Outcome | Exception | Callable[[Item], Awaitable[Outcome]]
"""What happens to one item: an outcome without effect, an exception for the whole call, or a small program."""


def failing(kind: Kind, reason: str = "", **more: Any) -> Failure:
    """A whole call that fails with this outcome."""
    return Failure(Outcome(kind, reason or str(kind), **more))


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation."""

    operation: str
    subjects: tuple[str, ...]
    attempts: tuple[int, ...]


class Fake:
    """A system in memory. Its operations are insert-only and idempotent, as the contract asks of real ones.

    `plan(subject, *steps)` scripts the next calls for one subject, `always[subject]` all of them, `answer` fails
    every call. `made` lists each thing made, so that one made twice shows; `history` each effect in order.
    """

    def __init__(
        self,
        system: str,
        batch: int = 10,
        parallel: int = 1,
        timeout: float = 5.0,
        conflicts: Callable[[Item], frozenset[str]] | None = None,
    ) -> None:
        self.system = system
        self.answer: Exception | None = None
        self.always: dict[str, Step] = {}
        self.plans: defaultdict[str, deque[Step]] = defaultdict(deque)
        self.calls: list[Call] = []
        self.made: list[str] = []
        self.history: list[tuple[str, str]] = []
        self.items: list[Item] = []
        self.touching: Counter[str] = Counter()
        self.most_at_once = 0
        self.changes: list[Raw] = []
        self.page_size = 2
        self.breaks_at: dict[int, Exception] = {}
        self.every = 0.05
        self.cared: list[Finding] | Exception = []
        self.examined: list[Finding] = []
        self._running = 0
        self._operations = {
            o.name: Operation(
                *(o.name, o.stream, self._runner(o), batch, tuple(o.emits), timeout, parallel),
                conflicts=conflicts,
                coalesces=o.name in COALESCING,
            )
            for o in OPERATIONS
        }

    # the contract

    @property
    def operations(self) -> Mapping[str, Operation]:
        return self._operations

    @property
    def feeds(self) -> Sequence[Feed]:
        return [Feed("orders", "order", self.every, self._poll)] if self.changes or self.breaks_at else []

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        if headers.get("x-secret") != "right":
            raise Refused(401, "bad_signature", "The signature does not fit.")
        return raw(body)

    def decode(self, given: Raw) -> Observed:
        if given.kind in ERP_KINDS:
            told = ERP_KINDS[given.kind].model_validate_json(given.body)
            return Observed(given.kind, given.object_id, given.headers["read_at"], told)
        state = decode_order(self.system, given.body)
        return Observed("order", state.id, state.modified_at.isoformat(), state)

    async def care(self) -> list[Finding]:
        if isinstance(self.cared, Exception):
            raise self.cared
        return list(self.cared)

    async def doctor(self) -> list[Finding]:
        return list(self.examined)

    async def close(self) -> None:
        return None

    # the script

    def plan(self, of: str, *steps: Step) -> None:
        """What happens the next times this subject is in a call, once each; after that all goes well."""
        self.plans[of].extend(steps)

    async def stand(self, item: Item, operation: str = "accept_order") -> Outcome:
        """Do it: made if it is not there yet, found if it is."""
        if item.subject not in self.made:
            self.made.append(item.subject)
        self.history.append((operation, item.subject))
        emits = self._operations[operation].emits
        return done({"number": f"S{item.subject.rpartition(':')[2]}"}, link=f"id-{item.subject}", emits=emits)

    async def lose_answer(self, item: Item) -> Outcome:
        """It is done, committed, and then the line breaks."""
        await self.stand(item)
        raise failing(Kind.RETRY, "answer_lost", technical="connection reset after the request was sent")

    def waiting_for(self, event: asyncio.Event, reached: asyncio.Event | None = None) -> Step:
        """It takes until `event` is set; `reached` is set when the call has arrived."""

        async def step(item: Item) -> Outcome:
            if reached is not None:
                reached.set()
            await event.wait()
            return await self.stand(item)

        return step

    def slow(self, seconds: float) -> Step:
        """It takes so long, then is done."""

        async def step(item: Item) -> Outcome:
            await asyncio.sleep(seconds)
            return await self.stand(item)

        return step

    def _runner(self, info: OperationInfo) -> Callable[[Sequence[Item]], Awaitable[list[Outcome]]]:
        async def run(items: Sequence[Item]) -> list[Outcome]:
            self.items.extend(items)
            self.calls.append(Call(info.name, tuple(i.subject for i in items), tuple(i.attempt for i in items)))
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            try:
                if self.answer is not None:
                    raise self.answer
                return [await self._one(info.name, item) for item in items]
            finally:
                self._running -= 1

        return run

    async def _one(self, operation: str, item: Item) -> Outcome:
        steps = self.plans.get(item.subject)
        step = steps.popleft() if steps else self.always.get(item.subject)
        if step is None:
            return await self.stand(item, operation)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Outcome):
            return step
        return await step(item)

    # the feed

    async def _poll(self, cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        place = cursor.get("at", 0)
        while True:
            page: list[Raw] = []
            for index in range(place, min(place + self.page_size, len(self.changes))):
                if index in self.breaks_at:  # in the middle of a page: what was read of it is not handed out
                    raise self.breaks_at[index]
                page.append(self.changes[index])
            place += len(page)
            yield Page(page, {"at": place})
            if place >= len(self.changes):
                return


# --- the house ------------------------------------------------------------------------------------------------


class House:
    """A hub on a store, with a fake shop and a fake ERP."""

    def __init__(
        self,
        store: Store,
        flows: str = FLOWS,
        more: str = "",
        shop: Fake | None = None,
        erp: Fake | None = None,
        cut_over: datetime | None = None,
    ) -> None:
        self.store = store
        self.blueprint = blueprint(flows, more)
        self.shop, self.erp = shop or Fake(SHOP), erp or Fake(ERP)
        process: Process = orders(self.blueprint.orders, cut_over)
        self.processes: dict[str, dict[str, Process]] = {
            SHOP: {"order": process},
            ERP: {"order": process, "stock": changes(ERP, "stock"), "fulfilment": fulfilments(ERP)},
        }

    def worker(self, **options: Any) -> Worker:
        """Another worker over the same connectors."""
        connectors = {SHOP: self.shop, ERP: self.erp}
        options.setdefault("retells", retells())
        return Worker(self.store, self.blueprint, connectors, self.processes, **options)

    async def receive(self, *bodies: bytes, origin: str = "webhook") -> int:
        """Keep the bodies, as a door does; how many were new."""
        async with self.store.write() as connection:
            return await receipts.take(connection, self.store, [arrival(b, origin=origin) for b in bodies])

    async def erp_says(self, kind: str, state: Entity, read_at: str, object_id: str = "") -> None:
        """Keep a receipt of the ERP, as the poll does; to be worked later."""
        async with self.store.write() as connection:
            await receipts.take(connection, self.store, [told_by_erp(kind, state, read_at, object_id)])

    async def work(self, limit: float = 20.0) -> None:
        """One worker works until nothing is due."""
        await self.worker().drain(limit)

    async def hear(self, *bodies: bytes, origin: str = "webhook") -> None:
        """Keep the bodies and work until nothing is due."""
        await self.receive(*bodies, origin=origin)
        await self.work()

    @contextlib.asynccontextmanager
    async def working(self, *workers: Worker) -> AsyncIterator[None]:
        """These workers (one, if none is given) run in the background meanwhile."""
        workers = workers or (self.worker(),)
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.wait(tasks, timeout=5)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [e for e in ended if isinstance(e, Exception)]
        if broken:
            raise broken[0]

    # looking

    async def events(self, of: str = "") -> list[str]:
        """The types of all events, or those of one subject, in the order they were recorded."""
        rows = await rows_of(self.store, schema.event)
        rows.sort(key=lambda r: (r["time"], r["recorded_at"]))
        return [r["type"] for r in rows if of in ("", r["subject"])]

    async def outcomes(self, operation: str = "accept_order") -> list[str]:
        """The outcome of each try of an operation, in order."""
        return [r["outcome"] for r in await rows_of(self.store, schema.delivery_log, operation=operation)]

    async def exceptions(self, status: str = "open") -> list[dict[str, Any]]:
        """The exceptions of a status."""
        return await rows_of(self.store, schema.exception, status=status)

    async def counters(self, system: str = SHOP) -> dict[str, int]:
        """The counters of a system."""
        return {r["name"]: r["n"] for r in await rows_of(self.store, schema.counter, system=system)}


async def rows_of(store: Store, table: sa.Table, **where: Any) -> list[dict[str, Any]]:
    """All rows of a table, or those with these values, in the order of its key."""
    statement = sa.select(table).filter_by(**where).order_by(*table.primary_key.columns)
    async with store.read() as connection:
        return [dict(row._mapping) for row in await connection.execute(statement)]


async def hasten(store: Store) -> None:
    """Let all waiting be over: lanes, systems and polls are due now. Held lanes stay held."""
    async with store.write() as connection:
        await connection.execute(sa.update(schema.system_state).values(open_until=0))  # before lanes, as workers do
        await connection.execute(sa.update(schema.lane).where(schema.lane.c.due_at < schema.HELD).values(due_at=0))
        await connection.execute(sa.update(schema.cursor).values(next_at=0))
    store.wake()


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 8.0) -> Any:
    """The first true answer of `check`, asked again and again; TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        while True:
            if answer := await check():
                return answer
            await asyncio.sleep(0.01)


async def replayed(
    store: Store,
    blueprint: Blueprint,
    streams: Mapping[str, str],
    choice: Choice,
    progress: Callable[[Job], None] = lambda _job: None,
    **more: Any,
) -> Job:
    """Give these events to the flows once more, from the look at what it would be to the end."""
    planned = await replay.plan(store, blueprint, streams, choice)
    number = await replays.begin(store, choice, planned, **{"who": "", **more})
    return await replays.carry_out(store, blueprint, streams, number, progress, more.get("who", ""))


async def assert_one_status(store: Store) -> None:
    """Every delivery has one status, and every place that could tell it says the same (case F13)."""
    deliveries = await rows_of(store, schema.delivery)
    while True:  # each is read for itself: all are of one moment once nothing has moved in between
        lanes = {(r["system"], r["stream"], r["key"]): r for r in await rows_of(store, schema.lane)}
        log = await rows_of(store, schema.delivery_log)
        still = await rows_of(store, schema.exception, status="open")
        before, deliveries = deliveries, await rows_of(store, schema.delivery)
        if before == deliveries:
            break

    unfinished = {d["id"] for d in deliveries}
    waiting = Counter((d["system"], d["stream"], d["key"]) for d in deliveries)
    assert waiting == {key: r["n"] for key, r in lanes.items()}, "a lane holds what is counted on it"

    finished = {r["delivery_id"] for r in log if r["outcome"] in ("done", "resolved", "skipped")}
    assert not finished & unfinished, "what is finished is not pending"

    held = {(e["system"], e["stream"], e["key"]): e for e in still if e["held"]}
    assert held.keys() == {key for key, r in lanes.items() if r["due_at"] >= schema.HELD}, "held, and a person knows"
    for key, e in held.items():
        head = min(d["id"] for d in deliveries if (d["system"], d["stream"], d["key"]) == key)
        assert e["delivery_id"] == head, "a lane is held by its first delivery"
    passed = {e["delivery_id"] for e in still if not e["held"] and e["delivery_id"] is not None}
    assert not passed & unfinished, "what failed and let others pass is not pending"
    failed = Counter(e["delivery_id"] for e in still if e["delivery_id"] is not None)
    assert all(n == 1 for n in failed.values()), "one open exception a delivery"
    assert not failed.keys() & finished, "what is finished has no open exception"
