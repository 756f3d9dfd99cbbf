"""Stock under random interleavings: what is promised is never too much, and at rest it is what there is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.conftest import empty
from tests.fakes import ERP, SHOP, blueprint

from counterfoil.hub import records, schema
from counterfoil.hub.availability import readings, reservations, stock
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.availability.reservations import Reservation, State
from counterfoil.hub.availability.stock import Taking
from counterfoil.hub.store import Store
from counterfoil.processes.claiming import Claimant
from counterfoil.processes.routing import Router
from counterfoil.processes.stock import Rules
from counterfoil.retail.events import Event

UNIT, HAND = 1000, 20
SKUS = ("MUG", "BOX")
SET = {"SET": {"MUG": 2000, "BOX": 1000}}  # the ERP's own: it demands the parts
DUO = "stock: {bundles: {DUO: {MUG: 1, BOX: 1}}}\n"  # the ERP demands nothing but the bundle
LINES = st.dictionaries(st.sampled_from([*SKUS, "SET", "DUO"]), st.integers(1, 3), min_size=1, max_size=2)
NUMBER = st.integers(0, 3)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), NUMBER, LINES),
        st.tuples(st.just("confirm"), NUMBER),
        st.tuples(st.just("expire"), NUMBER),
        st.tuples(st.just("wait"), NUMBER, LINES),
        st.tuples(st.just("place"), NUMBER, LINES),
        st.tuples(st.just("change"), NUMBER, LINES),
        st.tuples(st.just("cancel"), NUMBER),
        st.tuples(st.just("carry_out"), NUMBER),
        st.tuples(st.just("carry_out"), NUMBER),
        st.tuples(st.just("answer"), NUMBER),
        st.tuples(st.just("answer"), NUMBER),
        st.tuples(st.just("begin_reading"), st.booleans()),
        st.tuples(st.just("keep_reading"), NUMBER),
        st.tuples(st.just("look_again"), st.just(0)),
    ),
    min_size=1,
    max_size=30,
)


@dataclass
class Sold:
    """One order: what the shop wants, what the ERP has, and what the ERP is still to be told, in order."""

    number: int
    stage: str = ""
    wanted: Counter[str] = field(default_factory=Counter)
    in_erp: Counter[str] = field(default_factory=Counter)
    queue: list[Event] = field(default_factory=list)
    answer: Event | None = None

    @property
    def id(self) -> str:
        return f"{SHOP}:order:{self.number}"


class World:
    """A shop, an ERP and the hub's claims between them. The ERP carries out an order's newest state, one by one."""

    def __init__(self, store: Store) -> None:
        self.store, plan = store, blueprint(more=DUO)
        rules = Rules(plan)
        rules.learn_kits(SET)
        self.rules, self.claimant = rules, Claimant(rules, Router.of(plan))
        self.orders = [Sold(n) for n in range(4)]
        self.holds: dict[int, Reservation] = {}
        self.held: dict[int, Counter[str]] = {}
        self.readings: list[list[Reading]] = []
        self.events = 0

    def lines(self, wanted: Counter[str]) -> list[dict[str, Any]]:
        return [{"id": s, "kind": "product", "sku": s, "quantity": str(q)} for s, q in sorted(wanted.items())]

    def goods(self, wanted: Counter[str]) -> Counter[str]:
        return self.demanded(wanted) + Counter({"MUG": wanted["DUO"], "BOX": wanted["DUO"]})

    def demanded(self, wanted: Counter[str]) -> Counter[str]:
        """What of it the ERP counts."""
        return Counter({"MUG": wanted["MUG"] + 2 * wanted["SET"], "BOX": wanted["BOX"] + wanted["SET"]})

    async def tell(self, sold: Sold, type_: str, cause: Event | None = None, **data: Any) -> Event:
        self.events += 1
        event = Event(
            id=f"e{self.events}", type=type_, source=ERP if cause else SHOP, subject=sold.id, key=sold.id,
            time=datetime.now(UTC), correlation=sold.id, causation=cause.id if cause else None, data=data,
        )  # fmt: skip
        async with self.store.write() as connection:
            await records.keep_events(connection, self.store, [event])
            await self.claimant(connection, self.store, [event])
        return event

    async def shop_says(self, sold: Sold, type_: str, **more: Any) -> None:
        told = {"number": str(sold.number), "lines": self.lines(sold.wanted)}
        event = await self.tell(sold, type_, order=told, level="accept", **more)
        if type_ not in ("order.waiting", "order.not_wanted"):
            sold.queue.append(event)

    # --- what can happen ------------------------------------------------------------------------------------------

    async def hold(self, number: int, wanted: dict[str, int]) -> None:
        if number in self.holds or self.orders[number].stage in ("placed", "waiting"):
            return
        goods = self.goods(Counter(wanted))
        async with self.store.write() as connection:
            articles = await stock.known_as(connection, self.store, [s for s in SKUS if goods[s]])
            rows = await stock.locked(connection, self.store, articles.values())
            now = await self.store.clock(connection)
            held = Reservation(f"r{number}", SHOP, State.HELD, (), "", now, now + 60)
            await reservations.keep(connection, self.store, [held])
            takings = [Taking(held.id, articles[s], "", q * UNIT, SHOP) for s, q in goods.items() if q]
            await stock.take(connection, self.store, rows, takings)
        self.holds[number], self.held[number] = held, goods

    async def confirm(self, number: int) -> None:
        if number in self.holds:
            async with self.store.write() as connection:
                known = self.holds[number]
                now = Reservation(known.id, SHOP, State.CONFIRMED, (), str(number), known.made_at, known.expires_at)
                await reservations.keep(connection, self.store, [now])
            self.holds[number] = now

    async def expire(self, number: int) -> None:
        """The time of a hold is over, or that of an order which waits; asked twice, it is given back once."""
        sold = self.orders[number]
        ids = [f"r{number}"] if number in self.holds else [sold.id] if sold.stage == "waiting" else []
        for _ in range(2):
            async with self.store.write() as connection:
                await stock.give_back(connection, self.store, ids)
        if self.holds.pop(number, None) is not None:
            del self.held[number]
            async with self.store.write() as connection:
                await connection.execute(schema.reservation.delete().where(schema.reservation.c.id == f"r{number}"))
        elif ids:
            sold.stage = "expired"

    async def wait(self, number: int, wanted: dict[str, int]) -> None:
        sold = self.orders[number]
        if sold.stage in ("", "not_wanted"):
            sold.stage, sold.wanted = "waiting", Counter(wanted)
            self._ordered(number)
            await self.shop_says(sold, "order.waiting")

    async def place(self, number: int, wanted: dict[str, int]) -> None:
        sold = self.orders[number]
        if sold.stage != "placed":
            sold.stage, sold.wanted = "placed", Counter(wanted)
            self._ordered(number)
            await self.shop_says(sold, "order.placed")

    def _ordered(self, number: int) -> None:
        if number in self.holds and self.holds[number].state is State.CONFIRMED:
            del self.holds[number], self.held[number]

    async def change(self, number: int, wanted: dict[str, int]) -> None:
        sold = self.orders[number]
        if sold.stage == "placed":
            before, sold.wanted = sold.wanted, Counter(wanted)
            await self.shop_says(sold, "order.changed", before={"lines": self.lines(before)})

    async def cancel(self, number: int) -> None:
        sold = self.orders[number]
        if sold.stage == "placed":
            sold.stage = "cancelled"
            await self.shop_says(sold, "order.cancelled")
        elif sold.stage == "waiting":
            sold.stage = "not_wanted"
            await self.shop_says(sold, "order.not_wanted")

    async def carry_out(self, number: int) -> None:
        """The ERP does what comes next and commits; its answer is on its way."""
        sold = self.orders[number]
        if not sold.queue or sold.answer is not None:
            return
        sold.answer = sold.queue.pop(0)
        if sold.answer.type == "order.cancelled":
            sold.in_erp = Counter()
        elif sold.stage == "placed":
            sold.in_erp = sold.wanted.copy()
        else:  # given up by now: there is nothing to be done
            sold.answer = None

    async def answer(self, number: int) -> None:
        sold = self.orders[number]
        if sold.answer is not None and sold.answer.type != "order.cancelled":
            await self.tell(sold, "order.accepted", sold.answer, state="sale")
        sold.answer = None

    async def begin_reading(self, keep: bool) -> None:
        async with self.store.read() as connection:
            asked_at = await self.store.clock(connection)
        outgoing: Counter[str] = Counter()
        for sold in self.orders:
            outgoing += self.demanded(sold.in_erp)
        figures = {s: {"WH": (HAND * UNIT, outgoing[s] * UNIT, 0)} for s in SKUS}
        self.readings.append([Reading(f"{ERP}:variant:{s}", s, at, asked_at) for s, at in figures.items()])
        if keep:
            await self.keep_reading(-1)

    async def keep_reading(self, number: int) -> None:
        """One of the readings that have begun, perhaps an old one, perhaps once more."""
        if self.readings:
            async with self.store.write() as connection:
                await keep_readings(connection, self.store, self.readings[number % len(self.readings)])

    async def look_again(self, _: int) -> None:
        """What the ERP has accepted since its article was read is read again, as the poll does."""
        async with self.store.read() as connection:
            wanted = await readings.unsettled(connection, self.store)
        if wanted:
            await self.begin_reading(True)

    # --- what must be true ------------------------------------------------------------------------------------------

    async def promised(self) -> dict[str, int]:
        """What may be sold of each article that was read."""
        async with self.store.read() as connection:
            assert await stock.verify(connection, self.store) == []
            ids = await stock.by_sku(connection, SKUS)
            rows = await stock.rows_of(connection, self.store, ids.values())
        read = {sku: rows[id_] for sku, id_ in ids.items() if rows[id_].asked_at}
        return {s: sum(h - o for h, o, _ in r.places.values()) - sum(r.taken.values()) for s, r in read.items()}

    def sold(self) -> Counter[str]:
        """What somebody was promised: held for a shopper, or ordered and wanted."""
        found: Counter[str] = sum(self.held.values(), Counter())
        for each in self.orders:
            found += self.goods(each.wanted) if each.stage in ("placed", "waiting") else Counter()
        return found

    async def check(self, at_rest: bool = False) -> None:
        sold = self.sold()
        for sku, free in (await self.promised()).items():
            there = (HAND - sold[sku]) * UNIT
            assert free == there if at_rest else free <= there, f"{sku}: {free} promised, {there} are there"

    async def come_to_rest(self) -> None:
        for sold in self.orders:
            while sold.queue or sold.answer is not None:
                await self.carry_out(sold.number)
                await self.answer(sold.number)
        await self.begin_reading(True)


MUG = {"MUG": 1}
OLD_READING = [("begin_reading", False), ("place", 0, MUG), ("carry_out", 0), ("answer", 0), ("begin_reading", True)]
AS_A_PART = {"DUO": 1}
CARRIED_OUT = [("carry_out", 0), ("answer", 0)]
PLACED_ANEW = [("place", 0, MUG), ("carry_out", 0), ("cancel", 0), ("place", 0, MUG), ("answer", 0), ("carry_out", 0)]


@example(acts=[*OLD_READING, ("keep_reading", 0)], read_first=False)
@example(acts=[*PLACED_ANEW, ("begin_reading", True)], read_first=True)  # the answer is about its earlier life
@example(acts=[("place", 0, MUG), ("change", 0, AS_A_PART), *CARRIED_OUT, *CARRIED_OUT], read_first=False)
@example(acts=[("place", 0, MUG), *CARRIED_OUT, ("change", 0, AS_A_PART), *CARRIED_OUT], read_first=True)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(acts=ACTS, read_first=st.booleans())
async def test_nothing_is_promised_twice_and_at_rest_all_is_promised(
    store: Store, acts: list[tuple[Any, ...]], read_first: bool
) -> None:
    """Orders that are placed, change, are accepted and given up, holds, readings late and old. case: F15, F21

    At every moment no more may be promised than is there less what was promised to somebody; once the ERP is up to
    date and was read, exactly that.
    """
    await empty(store)
    world = World(store)
    if read_first:
        await world.begin_reading(True)
    for act, *arguments in acts:
        await getattr(world, act)(*arguments)
        await world.check()
    await world.come_to_rest()
    await world.check(at_rest=True)
