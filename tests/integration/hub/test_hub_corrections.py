"""A value that the shop has wrong is corrected at its exception: told to the ERP for as long as the shop says it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import ON_SQLITE
from tests.counting import Warehouse
from tests.fakes import FLOWS, Fake, House, assert_one_status, at, decode_order, payload, rows_of, subject
from tests.picky import RIGHT, STREET, WRONG, refusing

from counterfoil.blueprint import Retention
from counterfoil.hub import corrections, exceptions, retention, schema
from counterfoil.hub.contract import done, rejected
from counterfoil.hub.exceptions import NotOpen, correcting
from counterfoil.hub.store import Store
from counterfoil.hub.views import journey, people
from counterfoil.retail import editable
from counterfoil.retail.editable import CannotCorrect
from counterfoil.retail.fulfilment import ErpState, FulfilledLine, Fulfilment

AMENDING = FLOWS + "  - {on: order.changed, do: erp.accept_order}\n"


def told(erp: Fake, name: str = "state") -> list[str]:
    """The street of each order that the ERP was given."""
    return [item.data[name]["billing"]["street"] for item in erp.items]


async def picky(store: Store, *numbers: int, flows: str = AMENDING) -> tuple[House, list[int]]:
    """A house whose ERP takes no order to the wrong street; the exceptions of these orders."""
    house = House(store, flows)
    for n in numbers:
        house.erp.always[subject(n)] = refusing(house.erp)
    await house.hear(*(payload(n, email=f"ada{n}@example.org") for n in numbers))
    return house, [e["id"] for e in await house.exceptions()]


async def test_a_corrected_value_is_told_and_facts_stay_as_they_were_told(store: Store) -> None:
    house, (number,) = await picky(store, 1)
    await correcting.correct(store, number, {STREET: RIGHT}, "anna", "she called us")
    await house.work()
    assert house.erp.made == [subject(1)]
    assert told(house.erp) == [WRONG, RIGHT]
    assert told(house.erp, "order") == [WRONG, RIGHT]
    (fact,) = await rows_of(store, schema.event, type="order.placed")
    (known,) = await rows_of(store, schema.object_)
    assert fact["data"]["order"]["billing"]["street"] == known["state"]["billing"]["street"] == WRONG
    assert await house.exceptions() == []
    await assert_one_status(store)


async def test_it_stands_while_the_shop_says_the_same_and_ends_as_soon_as_it_says_something_else(store: Store) -> None:
    house, (number,) = await picky(store, 1)
    await correcting.correct(store, number, {STREET: RIGHT, "customer.name": "Ada"}, "anna")
    await house.work()
    await house.hear(payload(1, modified=at(1)))  # the same again
    await house.hear(payload(1, modified=at(2), sku="CUP"))  # something else is new, the street is not
    assert told(house.erp)[-1] == RIGHT
    assert house.erp.items[-1].data["before"]["billing"]["street"] == WRONG  # written again rather than never
    await house.hear(payload(1, modified=at(3), street="2 rue Haute"))
    assert told(house.erp)[-1] == "2 rue Haute"
    await house.hear(payload(1, modified=at(4)))  # the old value again is not the one that somebody looked at
    assert told(house.erp)[-1] == WRONG
    assert {item.data["state"]["customer"]["name"] for item in house.erp.items[1:]} == {"Ada"}  # this one holds on
    kept = {row["path"]: row for row in await rows_of(store, schema.correction)}
    assert (kept[STREET]["ended_why"], kept["customer.name"]["ended_at"]) == ("the source says something else", None)
    (ended,) = await rows_of(store, schema.audit, act="correction.ended")
    assert (ended["who"], ended["detail"]["path"]) == ("counterfoil", STREET)


_streets = st.sampled_from(["A", "B", "C"])
_steps = st.lists(st.tuples(st.sampled_from(["says", "correct"]), _streets), min_size=3, max_size=6)


@ON_SQLITE
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
async def test_whatever_is_said_and_corrected_in_turn_the_last_word_counts(
    store: Store, steps: list[tuple[str, str]]
) -> None:
    """The source's word counts until it is corrected, and a correction until the source says something else."""
    n = 1 + len(await rows_of(store, schema.object_))  # an order of its own for each example
    house, source, correction = House(store, AMENDING), "A", ""
    house.erp.always[subject(n)] = rejected("refused", "No.", "Look.")
    await house.hear(payload(n, street=source))
    for second, (who, street) in enumerate(steps, 1):
        if who == "says":
            await house.hear(payload(n, modified=at(second), street=street))
            source, correction = street, correction if street == source else ""
        elif street != (correction or source):
            (number,) = [e["id"] for e in await house.exceptions() if e["subject"] == subject(n)]
            await correcting.correct(store, number, {STREET: street}, "anna")
            await house.work()
            correction = street
        assert told(house.erp)[-1] == (correction or source)


async def test_what_was_told_before_the_correction_is_not_said_to_have_been_corrected(store: Store) -> None:
    """Else the ERP, given the wrong address before, would see no change and never write the right one."""
    house, numbers = await picky(store, flows=AMENDING.replace("do: erp", "on_exception: pass, do: erp"))
    await house.hear(payload(1))
    house.erp.always[subject(1)] = refusing(house.erp)
    await house.hear(payload(1, modified=at(1), sku="CUP"))
    (number,) = [e["id"] for e in await house.exceptions()]
    await correcting.correct(store, number, {STREET: RIGHT}, "anna")
    async with store.write() as connection:  # clocks tie: the correction is no younger than the delivery
        await connection.execute(sa.update(schema.correction).values(at=1.0))
    await house.work()
    assert (told(house.erp)[-1], told(house.erp, "order")[-1]) == (RIGHT, RIGHT)
    assert house.erp.items[-1].data["before"]["billing"]["street"] == WRONG
    assert numbers == []


async def test_fifty_alike_are_corrected_at_once_and_what_says_something_else_is_left(store: Store) -> None:
    house, numbers = await picky(store, *range(1, 51))
    house.erp.plan(subject(60), rejected("refused", f"There is no street {WRONG} for {subject(60)}.", "Put it right."))
    await house.hear(payload(60, street="3 rue Haute"))  # alike by its words
    seen: list[int] = []
    done = await correcting.correct(store, numbers[0], {STREET: RIGHT}, "anna", all_alike=True, tick=seen.append)
    assert (len(done.alike), sorted(done.done), sum(seen)) == (49, numbers, 50)
    await house.work()
    assert sorted(house.erp.made) == sorted(subject(n) for n in range(1, 51))
    assert [e["subject"] for e in await house.exceptions()] == [subject(60)]
    assert len(await rows_of(store, schema.audit, act="exception.corrected", who="anna")) == 50
    await assert_one_status(store)


@ON_SQLITE
async def test_a_line_is_alike_by_its_value_whatever_its_id(store: Store) -> None:
    house = House(store)
    for n in (1, 2, 3):
        house.erp.plan(subject(n), rejected("unknown_sku", "Nobody knows this SKU.", "Make it."))
    await house.hear(payload(1, sku="MGU"), payload(2, sku="MGU"), payload(3, sku="CUP"))
    first = (await house.exceptions())[0]["id"]
    done = await correcting.correct(store, first, {"lines.1.sku": "MUG"}, "anna", all_alike=True)
    assert len(done.done) == 2
    await house.work()
    assert [i.data["state"]["lines"][0]["sku"] for i in house.erp.items[3:]] == ["MUG", "MUG"]


@ON_SQLITE
async def test_no_sku_of_another_product_is_not_alike(store: Store) -> None:
    house = House(store)
    for n in (1, 2, 3):
        house.erp.plan(subject(n), rejected("unknown_sku", "It has no SKU.", "Give it one."))
    await house.hear(*(payload(n, sku="", product_id=product) for n, product in ((1, "17"), (2, "99"), (3, "17"))))
    first = (await house.exceptions())[0]["id"]
    await correcting.correct(store, first, {"lines.1.sku": "GIFT"}, "anna", all_alike=True)
    assert {r["subject"] for r in await rows_of(store, schema.correction)} == {subject(1), subject(3)}


@ON_SQLITE
async def test_what_somebody_else_has_made_of_another_order_stays(store: Store) -> None:
    house = House(store, AMENDING)
    for n in (1, 2, 3):
        house.erp.always[subject(n)] = rejected("refused", "There is no such street.", "Put it right.")
    await house.hear(payload(1), payload(2), payload(3))

    async def correct(n: int, street: str, all_alike: bool = False) -> None:
        (number,) = [e["id"] for e in await house.exceptions() if e["subject"] == subject(n)]
        await correcting.correct(store, number, {STREET: street}, "anna", all_alike=all_alike)
        await house.work()

    async def tell() -> dict[str, str]:
        return {r["subject"]: r["becomes"] for r in await rows_of(store, schema.correction, ended_at=None)}

    await correct(2, "2 rue Vraie")
    await correct(1, "nowhere", all_alike=True)
    assert await tell() == {subject(1): "nowhere", subject(2): "2 rue Vraie", subject(3): "nowhere"}
    await correct(1, RIGHT, all_alike=True)  # what was made of both is put right in both
    assert await tell() == {subject(1): RIGHT, subject(2): "2 rue Vraie", subject(3): RIGHT}


@ON_SQLITE
async def test_an_order_that_would_be_none_with_it_is_not_alike(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, numbers = await picky(store, 1, 2, 3)
    whole = editable.changes_of

    def changes_of(kind: str, state: Any, wanted: Any) -> Any:
        if state["id"] == "2":
            raise CannotCorrect("With that the order is none.")
        return whole(kind, state, wanted)

    monkeypatch.setattr(editable, "changes_of", changes_of)
    done = await correcting.correct(store, numbers[0], {STREET: RIGHT}, "anna", all_alike=True)
    assert sorted(done.done) == [numbers[0], numbers[2]]


def test_one_that_fits_no_more_is_not_told() -> None:
    state = decode_order("shop", payload(1)).model_dump(mode="json")
    state["rates"] = [{"code": "1", "percent": "0"}]
    state["lines"][0]["taxes"] = [{"code": "1", "amount": "0.00 EUR"}]
    mine = {"lines.1.taxes.0.code": ("1", "2"), STREET: (WRONG, RIGHT)}  # the rate 2 has gone
    said = corrections.applied(subject(1), "shop", {"order": state, "state": state}, mine)
    told = [(said[name]["lines"][0]["taxes"][0]["code"], said[name]["billing"]["street"]) for name in said]
    assert told == [("1", RIGHT)] * 2


@ON_SQLITE
async def test_what_is_said_of_a_customer_s_cases_hides_what_was_corrected(store: Store) -> None:
    house = House(store, AMENDING)
    answers = (f"There is no street {street}." for street in (WRONG, RIGHT, "9 rue Neuve"))
    house.erp.plan(subject(1), *(rejected("refused", text, "Put it right.") for text in answers))
    await house.hear(payload(1, email="ada@example.org"))
    for street in (RIGHT, "9 rue Neuve"):
        number = (await house.exceptions())[-1]["id"]
        await correcting.correct(store, number, {STREET: street}, "anna")
        await house.work()
    await house.hear(payload(1, email="ada@example.org", modified=at(3), street="2 rue Haute"))
    known = (await people.known_of(store, [subject(1)]))[subject(1)]
    assert known >= {WRONG, RIGHT, "9 rue Neuve"}
    seen = await people.customer(store, "ada@example.org")
    assert seen is not None
    assert {case.message for case in seen.cases} == {"There is no street •••."}


@pytest.mark.parametrize("state", ["sale", "draft"])
async def test_the_corrected_article_is_taken_until_the_erp_counts_the_order(store: Store, state: str) -> None:
    """What the ERP has accepted with another SKU than the shop says is in none of its readings yet."""
    house = Warehouse(store, AMENDING)
    await house.reads(5)
    await house.reads(5, number=2)
    house.erp.always[subject(1)] = rejected("unknown_sku", "Nobody wants a mug.", "Make it a box.")
    await house.hear(payload(1))
    (number,) = [e["id"] for e in await house.exceptions()]
    await correcting.correct(store, number, {"lines.1.sku": "BOX"}, "anna")
    if state == "draft":  # it is refused once more, and the shop changes something else
        await house.work()
        await house.hear(payload(1, modified=at(1), street="2 rue Haute"))
        assert (await house.promised(), await house.promised(2)) == (5, 4)
        await exceptions.act(store, (await house.exceptions())[0]["id"], "retried", "anna")
    house.erp.always[subject(1)] = done({"state": state}, link="S1", emits=("order.accepted",))
    await house.work()
    assert (await house.promised(), await house.promised(2)) == (5, 4)
    if state == "draft":  # a person confirms it there
        line = FulfilledLine(line="1", sku="BOX", ordered=Decimal(1))
        confirmed = Fulfilment(order=subject(1), id="S1", number="S1", state=ErpState.CONFIRMED, lines=(line,))
        await house.erp_says("fulfilment", confirmed, at(5), object_id="S1")
        await house.work()
    await house.reads(5, outgoing=1, number=2)
    assert (await house.takings(), await house.promised(2)) == ({}, 4)


@ON_SQLITE
async def test_a_dry_run_says_what_would_be_told_and_changes_nothing(store: Store) -> None:
    _, numbers = await picky(store, 1, 2)
    before = [await rows_of(store, table) for table in schema.metadata.sorted_tables]
    would = await correcting.correct(store, numbers[0], {STREET: RIGHT}, "anna", dry_run=True, all_alike=True)
    assert (would.changes, would.alike, would.done) == ({STREET: (WRONG, RIGHT)}, [numbers[1]], [])
    assert would.state["billing"]["street"] == RIGHT
    assert [await rows_of(store, table) for table in schema.metadata.sorted_tables] == before


@ON_SQLITE
async def test_what_cannot_be_corrected_changes_nothing(store: Store) -> None:
    _, (number,) = await picky(store, 1)
    for wanted in ({STREET: RIGHT, "total": "1.00 EUR"}, {STREET: RIGHT, "billing.country": "UK"}, {STREET: WRONG}):
        with pytest.raises(CannotCorrect):
            await correcting.correct(store, number, wanted, "anna")
    assert await rows_of(store, schema.correction) == []
    assert (await exceptions.get(store, number))["status"] == "open"


async def test_it_is_corrected_again_and_withdrawn(store: Store) -> None:
    house, (number,) = await picky(store, 1)
    house.erp.always[subject(1)] = rejected("refused", "No.", "Look.")
    await correcting.correct(store, number, {STREET: "nowhere"}, "anna")
    await house.work()
    (again,) = await house.exceptions()
    assert {f.path: f.told for f in await correcting.fields(store, again["id"])}[STREET] == "nowhere"
    await correcting.correct(store, again["id"], {STREET: WRONG}, "bob")
    await house.work()
    assert told(house.erp) == [WRONG, "nowhere", WRONG]
    (kept,) = await rows_of(store, schema.correction)
    assert kept["ended_why"] == "corrected again by bob"
    with pytest.raises(NotOpen):
        await correcting.correct(store, number, {STREET: RIGHT}, "anna")


async def test_of_many_who_correct_it_at_once_one_does(store: Store) -> None:
    house, (number,) = await picky(store, 1)
    tried = (correcting.correct(store, number, {STREET: f"{RIGHT} {n}"}, f"p{n}") for n in range(5))
    ended = await asyncio.gather(*tried, return_exceptions=True)
    done = [each for each in ended if isinstance(each, correcting.Corrected) and each.done]
    assert len(done) == 1
    assert {type(each) for each in ended} <= {correcting.Corrected, NotOpen}
    (kept,) = await rows_of(store, schema.correction)
    await house.work()
    assert told(house.erp) == [WRONG, kept["becomes"]]
    assert len(await rows_of(store, schema.audit, act="exception.corrected")) == 1


@ON_SQLITE
async def test_what_is_about_no_order_has_nothing_to_correct(store: Store) -> None:
    house = House(store)
    async with store.write() as connection:
        entry = ("erp", "erp", rejected("drift", "They differ.", "Look."), "o")
        await exceptions.open_about(connection, store, "drift.orders", [entry])
    (number,) = [e["id"] for e in await house.exceptions()]
    with pytest.raises(CannotCorrect, match="about no order or customer"):
        await correcting.fields(store, number)


async def test_it_outlives_the_process_and_an_order_that_comes_later_is_none_of_its_business(
    store: Store, another_store: Any
) -> None:
    _, (number,) = await picky(store, 1)
    await correcting.correct(store, number, {STREET: RIGHT}, "anna")
    house = House(await another_store(), AMENDING)
    await house.hear(payload(2))
    assert {i.subject: i.data["state"]["billing"]["street"] for i in house.erp.items} == {
        subject(1): RIGHT,
        subject(2): WRONG,
    }


@ON_SQLITE
async def test_the_audit_keeps_where_and_who_and_the_journey_shows_people_to_who_may_see_them(store: Store) -> None:
    house, (number,) = await picky(store, 1)
    changed = {STREET: RIGHT, "customer.email": "bea@example.org", "lines.1.sku": "CUP"}
    await correcting.correct(store, number, changed, "anna", "she called us")
    await house.work()
    audited = json.dumps(await rows_of(store, schema.audit), default=str)
    assert not [value for value in (WRONG, RIGHT, "example.org", "CUP") if value in audited]
    (act,) = await rows_of(store, schema.audit, act="exception.corrected")
    assert (act["who"], act["detail"]) == ("anna", {"id": number, "paths": sorted(changed)})

    async def shown(may_see: bool) -> dict[str, tuple[str, str]]:
        seen = await journey.of(store, subject(1), may_see)
        assert seen is not None
        if not may_see:
            assert "rue" not in repr(seen)
        return {s.text: (s.detail["was"], s.detail["becomes"]) for s in seen.steps if s.what == "correction"}

    assert await shown(True) == {
        f"corrected: {STREET}": (WRONG, RIGHT),
        "corrected: customer.email": ("ada1@example.org", "bea@example.org"),
        "corrected: lines.1.sku": ("MUG", "CUP"),
    }
    assert await shown(False) == {
        f"corrected: {STREET}": ("•••", "•••"),
        "corrected: customer.email": ("a•••@example.org", "b•••@example.org"),
        "corrected: lines.1.sku": ("MUG", "CUP"),
    }


@ON_SQLITE
async def test_a_correction_goes_with_the_history_once_it_has_ended_and_not_before(store: Store) -> None:
    house, (number,) = await picky(store, 1)
    await correcting.correct(store, number, {STREET: RIGHT, "customer.name": "Ada"}, "anna")
    await house.work()
    await house.hear(payload(1, modified=at(3), street="2 rue Haute"))
    async with store.write() as connection:
        await connection.execute(sa.update(schema.correction).values(at=1.0))
        over = schema.correction.c.ended_at.is_not(None)
        await connection.execute(sa.update(schema.correction).where(over).values(ended_at=2.0))
    assert (await retention.purge(store, Retention(), rest=0.0))["corrections"] == 1
    assert [row["path"] for row in await rows_of(store, schema.correction)] == ["customer.name"]
