"""Holding stock for shoppers: nothing is held twice, nothing half, and nothing is done twice for one key."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes import rows_of

from counterfoil.blueprint import Catalogue, ConnectorInfo, Retention, parse
from counterfoil.hub import records, retention, schema
from counterfoil.hub.availability import reservations, stock
from counterfoil.hub.availability.readings import Reading, keep_readings
from counterfoil.hub.availability.reservations import Reservation, State
from counterfoil.hub.store import Store
from counterfoil.processes.holding import AnotherOrder, Ended, NoSuchReservation, NotDone, Offer, Short
from counterfoil.processes.reserving import WITHOUT_ORDER, Desk
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import UNIT
from counterfoil.retail.events import Event, at_utc

SHOP = "web"
DECLARED = """
counterfoil: 1
systems:
  web: {connector: fake}
stock:
  bundles: {SET: {MUG: 1, SPOON: 2}}
"""
RULES = Rules(parse(DECLARED, known=Catalogue.of([ConnectorInfo("fake", needs_url=False)], frozenset())))


def desk_of(store: Store, **options: Any) -> Desk:
    """A desk with nothing but one bundle declared."""
    return Desk(store, Offer(RULES), **options)


async def stand(store: Store, **units: int | Mapping[str, int]) -> None:
    """So many units are there, in the warehouse or by place."""
    readings = []
    for sku, many in units.items():
        at = many if isinstance(many, Mapping) else {"WH": many}
        places = {place: (n * UNIT, 0, 0) for place, n in at.items()}
        readings.append(Reading(f"odoo:variant:{sku}", sku, places, 1.0))
    async with store.write() as connection:
        await keep_readings(connection, store, readings)


async def taken(store: Store) -> dict[str, int]:
    """Units taken by SKU, as the rows of stock say; the takings must say the same."""
    async with store.read() as connection:
        assert await stock.verify(connection, store) == []
    rows = await rows_of(store, schema.stock)
    return {row["sku"]: sum(row["taken"].values()) // UNIT for row in rows if row["taken"]}


def lines(**units: int) -> list[tuple[str, int]]:
    return [(sku, n * UNIT) for sku, n in units.items()]


async def held(desk: Desk, seconds: float = 900.0, **units: int) -> Reservation:
    """A hold that is not short."""
    done = await desk.hold(SHOP, lines(**units), seconds)
    assert isinstance(done, Reservation), done
    return done


async def gathered(asked: list[Awaitable[Any]]) -> Counter[str]:
    return Counter(type(each).__name__ for each in await asyncio.gather(*asked, return_exceptions=True))


async def test_fifty_want_ten_units(store: Store) -> None:
    """At once: ten of them get one. case: F19"""
    await stand(store, MUG=10)
    desk = desk_of(store)
    assert await gathered([desk.hold(SHOP, lines(MUG=1)) for _ in range(50)]) == {"Reservation": 10, "Short": 40}
    assert await taken(store) == {"MUG": 10}


async def test_two_hubs_hold_from_one_stock(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    """Each has connections of its own; what they want overlaps, in opposite order. No update is lost. case: F20"""
    await stand(store, **{f"{name}{n}": 10 for name in ("MUG", "SPOON") for n in range(4)})
    desks = [desk_of(store), desk_of(await another_store())]
    for desk in desks:
        await held(desk, MUG0=1)  # both are connected: they begin at the same moment
    for n in range(1, 4):
        wishes = [lines(**{f"MUG{n}": 1, f"SPOON{n}": 1}), lines(**{f"SPOON{n}": 1, f"MUG{n}": 1})]
        asked = [desks[each % 2].hold(SHOP, wishes[each // 2 % 2]) for each in range(30)]
        assert await gathered(asked) == {"Reservation": 10, "Short": 20}
    assert await taken(store) == {"MUG0": 2} | {f"{name}{n}": 10 for name in ("MUG", "SPOON") for n in range(1, 4)}


async def test_lines_that_share_a_part(store: Store) -> None:
    """Two sets and a spoon want five spoons; of four, nothing is held at all. case: F18"""
    await stand(store, MUG=9, SPOON=4)
    desk = desk_of(store)
    assert await desk.hold(SHOP, lines(SET=2, SPOON=1)) == Short({"SET": 2, "SPOON": 4})
    assert await taken(store) == {}
    await held(desk, SET=1, SPOON=2)
    assert await taken(store) == {"MUG": 1, "SPOON": 4}


async def test_what_is_picked_up_is_held_there(store: Store) -> None:
    await stand(store, MUG={"WH": 5, "S1": 1})
    desk = desk_of(store)
    picked = [await desk.hold(SHOP, lines(MUG=1), place="S1") for _ in range(2)]
    assert isinstance(picked[0], Reservation)
    assert picked[1] == Short({"MUG": 0})
    assert [row["place"] for row in await rows_of(store, schema.taking)] == ["S1"]


async def test_an_article_nobody_knows_is_short(store: Store) -> None:
    assert await desk_of(store).hold(SHOP, lines(GHOST=1)) == Short({"GHOST": 0})


# --- keys -------------------------------------------------------------------------------------------------------------


class Dies(Store):
    """A process that is killed between the commit and the answer."""

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        async with super().write() as connection:
            yield connection
        raise ConnectionError("killed")


async def test_killed_between_commit_and_answer(store: Store, store_url: str) -> None:
    """Who asks again with the same key, at another process, gets what was held: once. case: F19, F20"""
    await stand(store, MUG=10)
    dying = Dies(store_url)
    with pytest.raises(ConnectionError):
        await desk_of(dying).hold(SHOP, lines(MUG=3), key="k1")
    await dying.close()
    again = [await desk_of(store).hold(SHOP, lines(MUG=3), key="k1") for _ in range(2)]
    assert again[0] == again[1]
    [row] = await rows_of(store, schema.reservation)
    assert isinstance(again[0], Reservation)
    assert (again[0].id, await taken(store)) == (row["id"], {"MUG": 3})


async def test_one_key_many_times_at_once(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    """At both processes: one hold, one answer for all."""
    await stand(store, MUG=10)
    desks = [desk_of(store), desk_of(await another_store())]
    done = await asyncio.gather(*(desks[n % 2].hold(SHOP, lines(MUG=2), key="k1") for n in range(12)))
    assert len({each.id for each in done if isinstance(each, Reservation)}) == 1
    assert await taken(store) == {"MUG": 2}


async def test_one_key_for_two_requests_is_refused(store: Store) -> None:
    """Sent at once or later: one of them is done, the others are not. At another shop it is another key."""
    await stand(store, MUG=10)
    desk = desk_of(store)
    at_once = await gathered([desk.hold(SHOP, lines(MUG=n), key="k1") for n in (2, 3)])
    assert at_once == {"Reservation": 1, "KeyReused": 1}
    assert await gathered([desk.hold(SHOP, lines(MUG=4), key="k1")]) == {"KeyReused": 1}
    assert await gathered([desk.hold("other", lines(MUG=1), key="k1")]) == {"Reservation": 1}
    assert await taken(store) == {"MUG": 3}


async def test_what_was_short_may_be_asked_for_again(store: Store) -> None:
    """Nothing was done for the key, so it is free."""
    await stand(store, MUG=1)
    desk = desk_of(store)
    assert isinstance(await desk.hold(SHOP, lines(MUG=2), key="k1"), Short)
    await stand(store, MUG=2)
    assert isinstance(await desk.hold(SHOP, lines(MUG=2), key="k1"), Reservation)


@pytest.mark.parametrize(
    ("wish", "key"),
    [([], ""), ([("MUG", 0)], ""), ([("MUG", 10**18)], ""), ([("MU\x00G", UNIT)], ""), ([("MUG", UNIT)], "\ud800")],
)
async def test_what_cannot_be_meant_is_in_nobodys_way(store: Store, wish: list[tuple[str, int]], key: str) -> None:
    await stand(store, MUG=2)
    desk = desk_of(store)
    asked = [desk.hold(SHOP, lines(MUG=1)), desk.hold(SHOP, wish, key=key)]
    assert await gathered(asked) == {"Reservation": 1, "ValueError": 1}
    assert await taken(store) == {"MUG": 1}


# --- what becomes of a reservation ------------------------------------------------------------------------------------


async def test_an_order_that_never_came(store: Store) -> None:
    """Its units are for others, and a person is told once; what was only held is given back without a word."""
    await stand(store, MUG=3)
    desk = desk_of(store, order_within=0.0, owner="shop@example.com")
    sold, left = await held(desk, 0.0, MUG=2), await held(desk, 0.0, MUG=1)
    await desk.confirm(SHOP, sold.id, "1001")
    assert [await desk.give_back_due(), await desk.give_back_due()] == [2, 0]
    assert await taken(store) == {}
    [told] = await rows_of(store, schema.exception)
    assert (told["reason"], told["subject"]) == (WITHOUT_ORDER, f"web:reservation:{sold.id}")
    assert "1001" in told["message"]
    with pytest.raises(Ended):
        await desk.confirm(SHOP, left.id, "1002")


async def test_an_order_given_up_before_anybody_heard_of_it(store: Store) -> None:
    """All that is told of it is that nobody wants it: what was confirmed for it is free, and no person is asked."""
    await stand(store, MUG=2)
    desk = desk_of(store)
    sold = await held(desk, MUG=2)
    await desk.confirm(SHOP, sold.id, "1001")
    assert await desk.give_back_due() == 0
    await told(store, "order.not_wanted", "1001")
    assert await desk.give_back_due() == 1
    assert await taken(store) == {}
    assert await rows_of(store, schema.exception) == []


async def test_an_order_that_was_here_first(store: Store) -> None:
    """It claims its units itself: what is confirmed for it afterwards is not counted twice."""
    await stand(store, MUG=2)
    desk = desk_of(store)
    sold = await held(desk, MUG=2)
    await told(store, "order.placed", "1001")
    assert (await desk.confirm(SHOP, sold.id, "1001")).state is State.ORDERED
    assert await taken(store) == {}


async def told(store: Store, type_: str, number: str) -> None:
    """The shop has told this of its order."""
    about = {"source": SHOP, "subject": "web:order:1", "key": "web:order:1", "time": at_utc(0), "correlation": ""}
    async with store.write() as connection:
        event = Event(id="e1", type=type_, data={}, refs=(("order", number),), **about)
        await records.keep_events(connection, store, [event])


async def order_comes(store: Store, number: str) -> None:
    """As a follower of order.placed hands over what was held for it."""
    async with store.write() as connection:
        for each in await reservations.for_order(connection, store, SHOP, number):
            await stock.hand_over(connection, store, each.id, f"web:order:{number}", SHOP)


@dataclass
class Model:
    """What should be there. A reservation is [state, parts, order number, is its time over]."""

    there: dict[str, int]
    made: list[list[Any]] = field(default_factory=list)
    ordered: Counter[str] = field(default_factory=Counter)

    @property
    def free(self) -> Counter[str]:
        return Counter(self.there) - self.taken

    @property
    def taken(self) -> Counter[str]:
        return sum((parts for state, parts, _, _ in self.made if state in ("held", "confirmed")), Counter(self.ordered))

    def hold(self, sets: int, mugs: int, over: bool) -> bool:
        parts = Counter(MUG=mugs + sets, SPOON=2 * sets)
        if parts - self.free:
            self.sweep()
        if parts - self.free:
            return False
        self.made.append(["held", parts, "", over])
        return True

    def sweep(self) -> None:
        for each in self.made:
            if each[0] == "held" and each[3]:
                each[0] = "expired"

    def change(self, act: str, index: int, number: str) -> type[NotDone] | None:
        it = self.made[index]
        match act:
            case "release":
                if it[0] == "ordered":
                    return Ended
                it[0] = "released" if it[0] in ("held", "confirmed") else it[0]
            case "extend":
                if it[0] not in ("held", "confirmed"):
                    return Ended
                it[3] = False
            case "confirm":
                if it[2] and it[2] != number:
                    return AnotherOrder
                if it[0] in ("released", "expired"):
                    return Ended
                if it[0] == "held":
                    it[0], it[2] = "confirmed", number
        return None

    def order(self, number: str) -> None:
        for each in self.made:
            if each[0] == "confirmed" and each[2] == number:
                each[0] = "ordered"
                self.ordered += each[1]


HOLDS = st.tuples(st.just("hold"), st.integers(0, 2), st.integers(1, 3), st.booleans())
CHANGES = st.tuples(st.sampled_from(["extend", "confirm", "release"]), st.integers(0, 5), st.sampled_from("12"))
ORDERS = st.tuples(st.just("order"), st.sampled_from("12"))
ACTS = st.lists(st.one_of(HOLDS, CHANGES, CHANGES, ORDERS, st.just(("sweep",))), min_size=4, max_size=16)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
async def test_each_reservation_goes_its_way(store: Store, acts: list[tuple[Any, ...]]) -> None:
    """Hold, extend, confirm, release, expire, order, in any order and any number of times: states, units and refusals
    are the model's, and each act again with its key answers the same and changes nothing."""
    async with store.write() as connection:
        for table in (schema.stock, schema.taking, schema.reservation, schema.answered):
            await connection.execute(sa.delete(table))
    await stand(store, MUG=6, SPOON=7)
    model, desk, ids = Model({"MUG": 6, "SPOON": 7}), desk_of(store), []
    for number, (act, *rest) in enumerate(acts):
        key = f"k{number}"
        if act == "hold":
            sets, mugs, over = rest
            wish = lines(MUG=mugs) + (lines(SET=sets) if sets else [])
            done = await desk.hold(SHOP, wish, 0.0 if over else 900.0, key=key)
            assert isinstance(done, Reservation) is model.hold(sets, mugs, over)
            if isinstance(done, Reservation):
                ids.append(done.id)
                assert await desk.hold(SHOP, wish, 0.0 if over else 900.0, key=key) == done
        elif act == "order":
            await order_comes(store, rest[0])
            model.order(rest[0])
        elif act == "sweep":
            await desk.give_back_due()
            model.sweep()
        elif ids:
            index = rest[0] % len(ids)
            expected = model.change(act, index, rest[1])
            ask = {"extend": 900.0, "confirm": rest[1]}.get(act)
            for _ in range(2):
                asked = getattr(desk, act)(SHOP, ids[index], *([ask] if ask else []), key=key)
                if expected is None:
                    await asked
                else:
                    with pytest.raises(expected):
                        await asked
        assert await taken(store) == +model.taken
    known = {row["id"]: row["state"] for row in await rows_of(store, schema.reservation)}
    assert [known[id_] for id_ in ids] == [state for state, *_ in model.made]


async def test_another_shops_reservation_is_none(store: Store) -> None:
    await stand(store, MUG=1)
    desk = desk_of(store)
    mine = await held(desk, MUG=1)
    assert await desk.get("other", mine.id) is None
    with pytest.raises(NoSuchReservation):
        await desk.release("other", mine.id)
    assert await desk.get(SHOP, mine.id) == mine
    assert mine.state is State.HELD


async def test_due_reservations_make_room(store: Store) -> None:
    """Nobody is told that there is nothing while something is held past its time, though nobody looked yet."""
    await stand(store, MUG=1)
    desk = desk_of(store)
    await held(desk, 0.0, MUG=1)
    await held(desk, MUG=1)
    assert await taken(store) == {"MUG": 1}


async def test_what_is_over_is_forgotten_in_time(store: Store) -> None:
    """Answers after a week, reservations that have ended with the history; what still holds units never."""
    await stand(store, MUG=9)
    desk = desk_of(store)
    over = await desk.release(SHOP, (await held(desk, MUG=1)).id, key="old")
    open_ = await desk.hold(SHOP, lines(MUG=1), key="new")
    assert isinstance(open_, Reservation)
    long_ago = store.now - 500 * 86400.0
    async with store.write() as connection:
        await connection.execute(sa.update(schema.answered).where(schema.answered.c.key == "old").values(at=long_ago))
        await connection.execute(sa.update(schema.reservation).values(made_at=long_ago, expires_at=long_ago))
        mine = schema.reservation.c.id == over.id
        await connection.execute(sa.update(schema.reservation).where(mine).values(ended_at=long_ago))
    for dry_run in (True, False):
        gone = await retention.purge(store, Retention(), dry_run=dry_run, rest=0.0)
        assert gone == {"reservations": 1, "answers": 1}
    assert [row["id"] for row in await rows_of(store, schema.reservation)] == [open_.id]
    assert [row["key"] for row in await rows_of(store, schema.answered)] == ["new"]
