"""Owners, enforced: a change by a system that does not own the field is not spread; and what becomes of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa
from tests import fakes
from tests.fakes import House, payload, replayed, rows_of
from tests.owned_customers import ERP, NUMBERS, SHOP, Pair

from counterfoil.blueprint.ownership import Ownership
from counterfoil.doors.words import in_words
from counterfoil.hub import condition, replay, schema, timeline
from counterfoil.hub.receipts import IMPORT
from counterfoil.hub.store import Store

DROP = "{owner: shop, fields: {phone: erp}}"
REVERT = "{owner: shop, fields: {phone: erp}, otherwise: revert}"
ASK = "{owner: shop, fields: {phone: erp}, otherwise: ask}"


async def changed(pair: Pair) -> list[str]:
    """Who told of a change since both were at rest."""
    return [event["source"] for event in await pair.events("customer.changed")][2:]


# --- what is not spread -----------------------------------------------------------------------------------------


async def test_what_a_system_does_not_own_is_not_spread_but_counted_and_known(store: Store) -> None:
    pair = await Pair.at_rest(store, DROP)
    pair.erp.edit("name", "Berta")
    await pair.told(ERP)
    assert await changed(pair) == []
    assert (pair.shop["name"], pair.shop.writes, await pair.exceptions()) == ("Anna", 0, [])
    assert await pair.counted(ERP) == {"not_owner": 1}
    assert await condition.not_spread(store) == {ERP: 1}
    pair.erp.say()
    pair.erp.unsaid[-1].headers["again"] = "in other bytes"  # type: ignore[index]
    await pair.told(ERP)
    assert (await pair.counted(ERP))["not_owner"] == 1


async def test_of_a_mixed_change_only_the_owned_part_is_written(store: Store) -> None:
    pair = await Pair.at_rest(store, DROP)
    pair.erp.edit("name", "Berta", quietly=True)
    pair.erp.edit("phone", "2")
    await pair.told(ERP)
    assert (pair.shop["name"], pair.shop["phone"], pair.shop.writes) == ("Anna", "2", 1)
    (told,) = (await pair.events("customer.changed"))[2:]
    assert told["data"]["owned"] == ["phone"]


async def test_the_one_delivery_that_is_carried_out_carries_all_that_its_teller_owns(store: Store) -> None:
    """Two changes wait for a system; only the newest is done, and it brings both."""
    pair = await Pair.at_rest(store, DROP)
    for field, text in (("name", "Berta"), ("billing.street", "2 Low St"), ("phone", "9")):
        pair.shop.edit(field, text)
    for raw in list(pair.shop.unsaid):
        await pair.hear(SHOP, raw)
    await pair.work()
    assert (pair.erp["name"], pair.erp["billing.street"], pair.erp["phone"]) == ("Berta", "2 Low St", "1")
    assert pair.erp.writes == 1


async def test_without_a_rule_each_tells_the_other_as_before(store: Store) -> None:
    """The short form says whose they are and holds nothing back."""
    pair = await Pair.at_rest(store, "shop")
    pair.erp.edit("name", "Berta")
    await pair.told(ERP)
    assert pair.shop["name"] == "Berta"
    assert "owned" not in (await pair.events("customer.changed"))[-1]["data"]


async def test_who_is_seen_for_the_first_time_is_no_trespass(store: Store) -> None:
    """A partner that was always in the ERP is not the shop's, and nobody is asked about it. case: F34"""
    pair = Pair(store, ASK.replace("phone: erp", "phone: shop"))
    await pair.told(ERP)
    assert (await pair.events("customer.changed"), await pair.exceptions()) == ([], [])
    assert await pair.counted(ERP) == {"not_owner": 1}


async def test_an_import_asks_nobody_and_takes_nothing_back(store: Store) -> None:
    pair = await Pair.at_rest(store, ASK)
    pair.erp.edit("name", "Berta")
    await pair.hear(ERP, pair.erp.unsaid[0], origin=IMPORT)
    await pair.work()
    assert (await changed(pair), await pair.exceptions()) == ([], [])


async def test_a_display_name_written_by_the_wrong_system_overwrites_none(store: Store) -> None:
    """case: F36"""
    pair = await Pair.at_rest(store, REVERT)
    pair.erp.edit("name", "Wholesale list")
    await pair.settle()
    assert (pair.shop["name"], pair.erp["name"], pair.shop.writes) == ("Anna", "Anna", 0)


# --- revert -------------------------------------------------------------------------------------------------------


async def test_a_change_behind_the_owners_back_is_taken_back_by_the_owners_own_flow(store: Store) -> None:
    pair = await Pair.at_rest(store, REVERT)
    pair.shop.edit("phone", "5")
    await pair.settle()
    assert (pair.shop["phone"], pair.erp["phone"]) == ("1", "1")
    assert (pair.shop.writes, pair.erp.writes) == (1, 0)
    (reverted,) = await pair.events("customer.reverted")
    (told,) = (await pair.events("customer.changed"))[2:]
    assert (told["source"], told["subject"], told["causation"]) == (ERP, pair.erp.subject, reverted["id"])
    assert told["data"]["owned"] == ["phone"]
    assert reverted["data"]["reverted"] == [
        {
            **{"field": "phone", "owner": ERP, "before": "1", "values": {SHOP: "5", ERP: "1"}},
            "decided": "the value of erp stands",
        }
    ]


async def test_an_owned_change_goes_out_while_the_other_is_taken_back(store: Store) -> None:
    pair = await Pair.at_rest(store, REVERT)
    pair.shop.edit("phone", "5", quietly=True)
    pair.shop.edit("name", "Berta")
    await pair.settle()
    assert (pair.shop["phone"], pair.erp["phone"], pair.erp["name"]) == ("1", "1", "Berta")
    assert (pair.shop.writes, pair.erp.writes) == (1, 1)


# --- ask ----------------------------------------------------------------------------------------------------------


async def test_a_person_is_told_both_values_and_whose_it_is_until_both_agree(store: Store) -> None:
    pair = await Pair.at_rest(store, ASK)
    pair.erp.edit("name", "Berta")
    await pair.told(ERP)
    (asked,) = await pair.exceptions()
    assert (asked["reason"], asked["system"], asked["held"]) == ("not_the_owner", ERP, False)
    for words in ('"Anna" to "Berta"', "name", pair.erp.subject, "shop owns it", 'says "Anna"'):
        assert words in asked["message"]
    assert "Make the change in shop" in asked["suggestion"]
    assert (pair.shop["name"], pair.erp["name"]) == ("Anna", "Berta")
    pair.erp.edit("name", "Anna")
    await pair.told(ERP)
    assert await pair.exceptions() == []
    (closed,) = await pair.exceptions("resolved")
    assert closed["note"] == "both systems say the same again"


async def test_an_agreement_on_one_field_answers_no_question_about_another(store: Store) -> None:
    pair = await Pair.at_rest(store, ASK)
    pair.erp.edit("name", "Berta")
    await pair.told(ERP)
    pair.erp.edit("vat", "V2", quietly=True)
    pair.erp.edit("vat", "V1")
    await pair.told(ERP)
    assert len(await pair.exceptions()) == 1


# --- both changed it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [SHOP, ERP])
@pytest.mark.parametrize("rule", [DROP, ASK, REVERT])
async def test_where_both_changed_a_field_the_owner_wins_and_both_values_are_kept(
    store: Store, rule: str, first: str
) -> None:
    """Whoever is heard first. It is one fact, and the timeline shows it."""
    pair = await Pair.at_rest(store, rule)
    pair.erp.edit("phone", "2")
    pair.shop.edit("phone", "5")
    await both_heard(pair, first)
    assert (pair.shop["phone"], pair.erp["phone"], pair.erp.writes) == ("2", "2", 0)
    (contested,) = await pair.events("customer.contested")
    (clash,) = contested["data"]["contested"]
    assert (clash["field"], clash["owner"], clash["values"]) == ("phone", ERP, {SHOP: "5", ERP: "2"})
    shown = await timeline.of(store, contested["subject"])
    (entry,) = [e for e in shown["entries"] if e["text"] == "customer.contested"]
    said = in_words(entry["about"])
    assert ("shop says 5" in said, "erp says 2" in said) == (True, True)
    assert said.endswith("the value of erp stands")
    assert await pair.exceptions() == []


async def both_heard(pair: Pair, first: str) -> None:
    """What both have to say is heard, `first` first, before either is written to; then all comes to rest."""
    pair.shop.refuses = pair.erp.refuses = True
    for name in (first, SHOP if first == ERP else ERP):
        await pair.told(name)
    await pair.go_on()


async def test_the_same_change_on_both_sides_is_no_conflict(store: Store) -> None:
    pair = await Pair.at_rest(store, REVERT)
    pair.erp.edit("phone", "2")
    pair.shop.edit("phone", "2")
    await both_heard(pair, SHOP)
    assert (await pair.events("customer.contested"), pair.shop["phone"]) == ([], "2")


async def test_what_was_overwritten_long_after_it_was_changed_is_kept_too(store: Store) -> None:
    """Dropped for weeks; when the owner changes the field, the other value is lost there, and known here."""
    pair = await Pair.at_rest(store, DROP)
    pair.shop.edit("phone", "5")
    await pair.settle()
    assert (await pair.events("customer.contested"), pair.shop["phone"]) == ([], "5")
    pair.erp.edit("phone", "2")
    await pair.settle()
    (contested,) = await pair.events("customer.contested")
    assert contested["data"]["contested"][0]["values"] == {ERP: "2", SHOP: "5"}
    assert pair.shop["phone"] == "2"


# --- our own echo ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [ASK, REVERT])
async def test_our_own_write_is_no_trespass_at_a_system_that_does_not_say_what_it_wrote(
    store: Store, rule: str
) -> None:
    """Odoo is polled: what we wrote comes back as a change of the partner. case: F37"""
    pair = await Pair.at_rest(store, rule)
    pair.erp.answers = False
    pair.shop.edit("name", "Berta  Meier")
    await pair.settle()
    assert await pair.exceptions() == []
    assert (await pair.events("customer.reverted"), await changed(pair)) == ([], [SHOP])
    assert (await pair.counted(ERP))["echo"] == 1


async def test_the_echo_of_a_write_is_known_when_its_owner_has_gone_on_since(store: Store) -> None:
    """The owner says 1, then 2; the echo of 1 comes when 2 is known already. case: F37"""
    pair = await Pair.at_rest(store, ASK)
    pair.erp.answers = False
    for name in ("Berta", "Clara"):
        pair.shop.edit("name", name)
        if name == "Berta":
            await pair.told(SHOP)
    (echo,) = pair.erp.unsaid
    pair.erp.refuses = True
    await pair.told(SHOP)
    await pair.hear(ERP, echo)
    await pair.work()
    assert [e["reason"] for e in await pair.exceptions()] == ["busy"]
    assert await pair.events("customer.contested") == []
    await pair.go_on()
    assert (pair.erp["name"], await pair.exceptions()) == ("Clara", [])


async def test_what_a_person_changed_in_the_same_moment_as_we_wrote_is_still_news(store: Store) -> None:
    """Our answer shows it already; only what we wrote is ours. case: F37"""
    pair = await Pair.at_rest(store, DROP)
    pair.erp.riding.append(("phone", "7"))
    pair.shop.edit("name", "Berta")
    await pair.settle()
    assert (pair.erp["name"], pair.shop["phone"]) == ("Berta", "7")


# --- whose it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [SHOP, ERP])
async def test_the_owner_is_where_the_thing_was_made(store: Store, home: str) -> None:
    """Linked first under the name it has there."""
    pair = Pair(store, "{owner: origin}")
    other = SHOP if home == ERP else ERP
    row = {"canonical_id": pair.books[home].subject, "system": other, "object_id": NUMBERS[other], "since": 0}
    async with store.write() as connection:
        await connection.execute(sa.insert(schema.link).values(**row))
    await pair.settle()
    pair.books[other].edit("name", "Berta")
    await pair.settle()
    assert pair.books[home]["name"] == "Anna"
    pair.books[home].edit("name", "Clara")
    await pair.settle()
    assert pair.books[other]["name"] == "Clara"


async def test_after_a_merge_the_record_that_stayed_is_the_one_compared(store: Store) -> None:
    """The link has moved to another partner; what changes there is measured by the same owner. case: F35"""
    pair = await Pair.at_rest(store, ASK)
    async with store.write() as connection:
        await connection.execute(sa.update(schema.link).where(schema.link.c.system == ERP).values(object_id="18"))
    pair.erp.number = "18"
    pair.erp.state = pair.erp.state.model_copy(update={"id": "18"})
    pair.erp.say()
    await pair.told(ERP)
    pair.erp.edit("name", "Berta")
    await pair.told(ERP)
    (asked,) = await pair.exceptions()
    assert 'shop owns it and says "Anna"' in asked["message"]


async def test_an_old_event_told_again_writes_what_its_teller_owns_now(store: Store) -> None:
    """It happened before anybody owned single fields; the replay keeps to the blueprint of today."""
    before = await Pair.at_rest(store, "shop")
    before.shop.edit("phone", "5")
    before.shop.edit("name", "Berta")
    await before.settle()
    now = Pair(store, DROP)
    now.books[ERP].edit("phone", "8")
    choice = replay.Choice(types=("customer.changed",), source=SHOP, system=ERP, newest_only=True)
    await replayed(store, now.blueprint, {f"{n}.update_customer": "customer" for n in now.books}, choice)
    await now.work()
    assert (now.erp["name"], now.erp["phone"]) == ("Berta", "8")


# --- what is told whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("otherwise", "asked"), [("drop", 0), ("ask", 1)])
async def test_an_order_of_a_system_that_owns_none_reaches_nobody(store: Store, otherwise: Any, asked: int) -> None:
    house = House(store)
    rule = Ownership(owner=fakes.ERP, otherwise=otherwise)
    house.processes[fakes.SHOP]["order"] = dataclasses.replace(house.processes[fakes.SHOP]["order"], owners=rule)
    await house.hear(payload(1))
    assert (await house.events(), house.erp.calls) == ([], [])
    assert (await house.counters())["not_owner"] == 1
    found = [e["reason"] for e in await house.exceptions()]
    assert found == ["not_the_owner"] * asked


async def test_each_shop_owns_the_orders_that_were_made_there(store: Store) -> None:
    house = House(store)
    rule = Ownership(owner="origin", otherwise="ask")
    house.processes[fakes.SHOP]["order"] = dataclasses.replace(house.processes[fakes.SHOP]["order"], owners=rule)
    await house.hear(payload(1))
    assert await house.events() == ["order.placed", "order.accepted"]
    assert "owned" not in (await rows_of(store, schema.event, type="order.placed"))[0]["data"]
