"""What a person can do about an exception: try again, say it was put right by hand, or that it is not wanted."""

from __future__ import annotations

import asyncio

import pytest
from tests.fakes import ERP, FLOWS, House, assert_one_status, at, payload, rows_of, subject

from counterfoil.hub import exceptions, lanes, schema
from counterfoil.hub.contract import rejected
from counterfoil.hub.exceptions import NoSuchException, NotOpen
from counterfoil.hub.store import Store

NO_SKU = rejected("unknown_sku", "No product MUG.", "Make the product.")
PASSING = FLOWS.replace("do: erp.accept_order}", "do: erp.accept_order, on_exception: pass}", 1)


async def refused(store: Store, flows: str = FLOWS) -> tuple[House, int]:
    """A house whose ERP refused order 1 once, and the exception's number."""
    house = House(store, flows)
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1))
    (told,) = await house.exceptions()
    return house, told["id"]


# --- a held lane --------------------------------------------------------------------------------------------------


async def test_retry_tries_the_same_delivery_again(store: Store) -> None:
    house, number = await refused(store)
    await exceptions.act(store, number, "retried", "ada", "the product is there now")
    await house.work()
    assert house.erp.made == [subject(1)]
    assert await house.outcomes() == ["rejected", "done"]
    first, second = await rows_of(store, schema.delivery_log, operation="accept_order")
    assert first["delivery_id"] == second["delivery_id"]
    await assert_one_status(store)


async def test_a_retry_that_fails_again_is_a_new_exception(store: Store) -> None:
    house, number = await refused(store)
    house.erp.plan(subject(1), NO_SKU)
    await exceptions.act(store, number, "retried", "ada")
    await house.work()
    (again,) = await house.exceptions()
    assert again["id"] != number
    assert (await exceptions.get(store, number))["status"] == "retried"
    await assert_one_status(store)


@pytest.mark.parametrize("act", ["resolved", "skipped"])
async def test_resolve_and_skip_take_it_out_of_its_lane_and_let_the_next_go_on(store: Store, act: str) -> None:
    house, number = await refused(store)
    await house.receive(payload(1, modified=at(1), status="cancelled"))
    house.erp.always[subject(1)] = NO_SKU
    await exceptions.act(store, number, act, "ada", "made by hand: S00042")
    house.erp.always.clear()
    await house.work()
    assert house.erp.history == [("cancel_order", subject(1))]
    assert await rows_of(store, schema.delivery) == []
    assert await house.outcomes() == ["rejected", act]
    await assert_one_status(store)


async def test_what_a_person_did_stands_in_the_log_of_the_delivery(store: Store) -> None:
    _, number = await refused(store)
    await exceptions.act(store, number, "resolved", "ada", "made by hand")
    _, line = await rows_of(store, schema.delivery_log, operation="accept_order")
    assert (line["outcome"], line["worker"], line["detail"]) == ("resolved", "ada", {"note": "made by hand"})
    assert line["delivery_id"] == (await exceptions.get(store, number))["delivery_id"]


# --- a lane that went on ------------------------------------------------------------------------------------------


async def test_retry_of_what_was_passed_queues_it_again(store: Store) -> None:
    house, number = await refused(store, PASSING)
    await exceptions.act(store, number, "retried", "ada")
    await house.work()
    assert house.erp.made == [subject(1)]
    assert await house.exceptions() == []
    await assert_one_status(store)


@pytest.mark.parametrize("act", ["resolved", "skipped"])
async def test_resolve_and_skip_of_what_was_passed_touch_no_lane(store: Store, act: str) -> None:
    house, number = await refused(store, PASSING)
    await exceptions.act(store, number, act, "ada")
    await house.work()
    assert len(house.erp.calls) == 1
    assert await house.outcomes() == ["rejected", act]
    await assert_one_status(store)


# --- who, what, once -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["retried", "resolved", "skipped"])
async def test_every_act_is_kept_with_who_did_it_and_why(store: Store, act: str) -> None:
    _, number = await refused(store)
    await exceptions.act(store, number, act, "ada", "because")
    closed = await exceptions.get(store, number)
    assert (closed["status"], closed["closed_by"], closed["note"]) == (act, "ada", "because")
    assert closed["closed_at"] >= closed["opened_at"]
    (row,) = await rows_of(store, schema.audit)
    assert (row["who"], row["act"], row["subject"]) == ("ada", f"exception.{act}", subject(1))
    assert row["detail"] == {"id": number, "note": "because"}


@pytest.mark.parametrize("flows", [FLOWS, PASSING], ids=["held", "passed"])
@pytest.mark.parametrize("second", ["retried", "resolved", "skipped"])
async def test_what_is_closed_cannot_be_closed_again(store: Store, flows: str, second: str) -> None:
    """Two people press at once: the second hears it, and nothing is done twice."""
    house, number = await refused(store, flows)
    await exceptions.act(store, number, "retried", "ada")
    with pytest.raises(NotOpen, match=f"exception {number} was retried already"):
        await exceptions.act(store, number, second, "bob")
    await house.work()
    assert len(house.erp.calls) == 2
    assert [r["who"] for r in await rows_of(store, schema.audit)] == ["ada"]
    await assert_one_status(store)


@pytest.mark.parametrize("flows", [FLOWS, PASSING], ids=["held", "passed"])
async def test_of_many_who_press_at_once_one_acts(store: Store, flows: str) -> None:
    house, number = await refused(store, flows)
    ended = await asyncio.gather(
        *(exceptions.act(store, number, "retried", f"p{i}") for i in range(6)), return_exceptions=True
    )
    assert [type(e) for e in ended].count(NotOpen) == 5
    assert len(await rows_of(store, schema.audit)) == 1
    assert len(await rows_of(store, schema.delivery)) == 1
    await house.work()
    assert house.erp.made == [subject(1)]


async def test_a_number_that_does_not_exist_is_said(store: Store) -> None:
    with pytest.raises(NoSuchException, match="there is no exception 4711"):
        await exceptions.act(store, 4711, "retried", "ada")
    with pytest.raises(NoSuchException, match="there is no exception 4711"):
        await exceptions.get(store, 4711)


async def test_the_list_shows_the_open_ones_oldest_first_unless_asked(store: Store) -> None:
    house = House(store)
    for n in (1, 2, 3):
        house.erp.plan(subject(n), NO_SKU)
        await house.hear(payload(n))
    first, second, third = (e["id"] for e in await exceptions.listing(store))
    await exceptions.act(store, second, "skipped", "ada")
    assert [e["id"] for e in await exceptions.listing(store)] == [first, third]
    assert [e["id"] for e in await exceptions.listing(store, "skipped")] == [second]
    assert [e["id"] for e in await exceptions.listing(store, "all")] == [first, second, third]
    assert [e["id"] for e in await exceptions.listing(store, "all", limit=2)] == [first, second]


# --- something new is known ------------------------------------------------------------------------------------------

AMENDING = FLOWS + "  - {on: order.changed, do: erp.accept_order}\n"


async def test_a_held_lane_goes_on_when_the_shop_says_something_new_of_the_order(store: Store) -> None:
    """The SKU was put right in the shop: nobody need press anything."""
    house, number = await refused(store, AMENDING)
    await house.hear(payload(1, modified=at(1), sku="CUP"))
    assert house.erp.made == [subject(1)]
    closed = await exceptions.get(store, number)
    assert (closed["status"], closed["closed_by"]) == ("retried", "counterfoil")
    assert closed["note"] == "something new is known of it"
    await assert_one_status(store)


async def test_it_is_asked_about_again_if_that_did_not_help(store: Store) -> None:
    house, number = await refused(store, AMENDING)
    house.erp.plan(subject(1), NO_SKU)
    await house.hear(payload(1, modified=at(1), sku="CUP"))
    assert [e["id"] for e in await house.exceptions()] != [number]
    assert len(await house.exceptions()) == 1
    await assert_one_status(store)


async def test_what_leads_to_nothing_in_that_lane_does_not_let_it_go_on(store: Store) -> None:
    """The change goes to a person (another lane): the order itself stays where it is."""
    house, number = await refused(store, FLOWS + "  - {on: order.changed, do: hub.ask}\n")
    await house.hear(payload(1, modified=at(1), total="13.00"))
    assert len(house.erp.calls) == 1
    assert (await exceptions.get(store, number))["status"] == "open"
    await assert_one_status(store)


async def test_news_of_one_order_does_not_let_another_go_on(store: Store) -> None:
    house, number = await refused(store, AMENDING)
    await house.hear(payload(2), payload(2, modified=at(1), total="13.00"))
    assert (await exceptions.get(store, number))["status"] == "open"
    assert (await lanes.depth(store))["held"] == 1


async def test_what_is_held_elsewhere_for_the_same_order_stays_held(store: Store) -> None:
    """Money and order are two lanes: news for the one is none for the other."""
    house = House(store, AMENDING + "  - {on: order.placed, do: erp.post_refund}\n")
    house.erp.plan(subject(1), NO_SKU, NO_SKU)
    await house.hear(payload(1))
    assert len(await house.exceptions()) == 2
    await house.hear(payload(1, modified=at(1), sku="CUP"))
    (still,) = await house.exceptions()
    assert (still["system"], still["stream"]) == (ERP, "money")
    await assert_one_status(store)
