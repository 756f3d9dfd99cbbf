"""The journey of a thing: every step once, in pages, with what it was promised; drawn too; and nobody's data in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import sqlalchemy as sa
from tests.fakes import House, at, payload, rows_of, subject

from counterfoil.hub import schema
from counterfoil.hub.contract import rejected
from counterfoil.hub.store import Store
from counterfoil.hub.views import journey, picture

PROMISED = "  - {on: order.placed, from: shop, do: erp.accept_order, within: 60s}\n"


async def test_every_step_is_told_once_from_system_to_system(store: Store) -> None:
    await House(store, PROMISED).hear(payload(1))
    found = await journey.of(store, subject(1))
    assert found is not None
    told = [(s.what, s.system, s.to, s.promise) for s in found.steps if "decode" not in s.text]
    assert told == [
        ("receipt", "shop", "", ""),
        ("event", "shop", "", ""),
        ("event", "erp", "", ""),
        ("delivery", "shop", "erp", "kept"),
    ] or told == [
        ("receipt", "shop", "", ""),
        ("event", "shop", "", ""),
        ("delivery", "shop", "erp", "kept"),
        ("event", "erp", "", ""),
    ]
    assert (found.line.title, found.links) == ("N1", {"erp": f"id-{subject(1)}"})
    assert await journey.of(store, subject(2)) is None


async def test_page_by_page_it_is_the_same_journey(store: Store) -> None:
    house = House(store)
    for second in range(6):
        await house.hear(payload(1, modified=at(second), total=f"{12 + second}.00"))
    whole = await journey.of(store, subject(1), may_see=True)
    assert whole is not None
    assert whole.until is None
    for size in (1, 4, 7):
        pages, until = [], None
        while True:
            page = await journey.of(store, subject(1), True, size, until)
            assert page is not None
            pages = [*page.steps, *pages]
            if (until := page.until) is None:
                break
        assert pages == list(whole.steps)


async def test_a_promise_of_the_blueprint_says_by_how_much_it_was_missed(store: Store) -> None:
    await House(store).hear(payload(1))
    async with store.write() as connection:
        now = await store.clock(connection)
        row = {"subject": subject(1), "event_id": "e", "began_at": now - 100, "due_at": now - 40}
        ended = {"ended_at": now - 10, "ended_as": "late", "took": 90.0}
        await connection.execute(sa.insert(schema.promise).values(name="shipped", **row, **ended))
        heard_late = {"ended_at": now - 5, "ended_as": "kept", "took": 20.0}
        await connection.execute(sa.insert(schema.promise).values(name="paid", **row, **heard_late))
        await connection.execute(sa.insert(schema.promise).values(name="invoiced", missed_at=now, **row))
    found = await journey.of(store, subject(1))
    assert found is not None
    assert [(s.text, s.late) for s in found.steps if s.what == "promise"] == [
        ("shipped: late", 30.0),
        ("paid: kept", None),
    ]
    (still,) = found.promised
    assert (still["name"], still["missed"]) == ("invoiced", True)
    assert still["late"] >= 40


async def test_who_may_not_see_people_reads_what_happened_and_of_whom_nothing(store: Store) -> None:
    house = House(store)
    house.erp.always[subject(1)] = rejected("no_country", "ada@mail.example of 1 rue Haute has no country.", "Ask her.")
    await house.hear(payload(1, email="ada@mail.example", street="1 rue Haute"))
    (receipt,) = await rows_of(store, schema.receipt)
    (placed,) = [r for r in await rows_of(store, schema.event) if r["type"] == "order.placed"]
    for may_see in (True, False):
        shown = repr(
            [
                await journey.of(store, subject(1), may_see),
                await journey.received(store, receipt["id"], may_see),
                await journey.happened(store, placed["id"], may_see),
            ]
        )
        assert ("ada@mail" in shown) is may_see
        assert ("rue Haute" in shown) is may_see
        assert "no_country" in shown
    assert await journey.received(store, 4711) is None
    assert await journey.happened(store, "nothing") is None


async def test_the_picture_has_a_lane_for_each_system_and_marks_what_went_wrong(store: Store) -> None:
    house = House(store)
    house.erp.always[subject(1)] = rejected("unknown_sku", "No <product> & no help.", "Make it.")
    await house.hear(payload(1))
    found = await journey.of(store, subject(1))
    assert found is not None
    drawn = ET.fromstring(picture.svg(found))
    space = "{http://www.w3.org/2000/svg}" if drawn.tag.startswith("{") else ""
    texts = [t.text or "" for t in drawn.iter(f"{space}text")]
    assert {"shop", "erp"} <= set(texts)
    assert "No <product> & no help." in texts
    assert len(list(drawn.iter(f"{space}rect"))) == 2, "the delivery that was refused, and its exception"
    assert "script" not in ET.tostring(drawn).decode()
    await house.hear(payload(2))
    for second in range(picture.MOST):
        await house.receive(payload(2, modified=at(second + 1), total=f"{13 + second}.00"))
    await house.work()
    busy = await journey.of(store, subject(2))
    assert busy is not None
    assert f"The newest {picture.MOST} of" in picture.svg(busy)
