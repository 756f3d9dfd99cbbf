"""One row of the blueprint clears all that is alike; a record that is linked by hand lets its thing go on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes import CATALOGUE, ERP, FLOWS, SHOP, House, assert_one_status, blueprint, payload, rows_of, subject

from counterfoil.blueprint import BlueprintError
from counterfoil.hub import exceptions, inforce, schema
from counterfoil.hub.contract import Outcome, rejected
from counterfoil.hub.exceptions import fixing
from counterfoil.hub.exceptions.rows import CannotAdd, added, stands_in
from counterfoil.hub.store import Store
from counterfoil.retail.mapping import missing, to_add

RULES = "taxes: [{rate: 20, odoo: 1}]\napprovals: {sections: [taxes], by: [anna, bob]}\n"


def lacks(rate: int) -> Outcome:
    row = to_add("taxes", {"rate": rate, "country": "DE", "odoo": "…"})
    return rejected("unmapped_tax", f"Odoo has no sales tax of {rate} %.", missing(row, ["7 % USt"]))


async def house_without_tax(store: Store, count: int = 5) -> tuple[House, list[int]]:
    """So many orders wait for a tax of 7 %, and one for 16 %; the numbers of the first."""
    house = House(store, more=RULES)
    await inforce.settle(store, house.blueprint, CATALOGUE, "hub")
    for n in range(1, count + 1):
        house.erp.plan(subject(n), lacks(7))
    house.erp.plan(subject(99), lacks(16))
    await house.hear(*(payload(n) for n in [*range(1, count + 1), 99]))
    return house, [e["id"] for e in await house.exceptions() if e["subject"] != subject(99)]


async def propose(store: Store, number: int, dry_run: bool = False, **values: str) -> fixing.Fix:
    return await fixing.propose_row(store, CATALOGUE, number, values, "anna", "we sell books", dry_run)


async def test_one_row_clears_all_alike_once_it_is_in_force_and_not_before(store: Store) -> None:
    house, numbers = await house_without_tax(store)
    fix = await propose(store, numbers[2], odoo="7 % USt")
    assert fix.alike == tuple(numbers)
    assert fix.text == "taxes:\n- rate: 7\n  country: DE\n  odoo: 7 % USt\n"
    assert fix.proposal is not None
    assert [str(c) for c in fix.proposal.changes] != []
    assert fix.proposal.needing == ("taxes",)
    assert await fixing.carry_out(store, house.blueprint) == 0

    await inforce.approve(store, fix.proposal.number, "bob", CATALOGUE)
    new = blueprint(FLOWS, RULES.replace("odoo: 1}", "odoo: 1}, {rate: 7, country: DE, odoo: 7 % USt}"))
    await inforce.settle(store, new, CATALOGUE, "hub")
    assert await fixing.carry_out(store, new) == len(numbers)
    assert await fixing.carry_out(store, new) == 0
    await house.work()
    assert sorted(house.erp.made) == sorted(subject(n) for n in range(1, 6))
    assert [e["subject"] for e in await house.exceptions()] == [subject(99)]
    tried = [r["who"] for r in await rows_of(store, schema.audit, act="exception.retried")]
    assert tried == ["anna"] * len(numbers)
    await assert_one_status(store)


async def test_a_dry_run_says_what_it_would_propose_and_changes_nothing(store: Store) -> None:
    _, numbers = await house_without_tax(store, 2)
    before = await rows_of(store, schema.audit)
    fix = await propose(store, numbers[0], dry_run=True, odoo="7 % USt")
    assert (fix.alike, fix.proposal) == (tuple(numbers), None)
    assert len(await inforce.history(store)) == 1
    assert await rows_of(store, schema.audit) == before
    assert await rows_of(store, schema.exception_fix) == []


@pytest.mark.parametrize(
    ("values", "wrong", "says"),
    [
        ({}, CannotAdd, "gap at odoo"),
        ({"odoo": "a", "journal": "b"}, CannotAdd, "has no 'journal'; it has rate, country, odoo"),
        ({"odoo": "a", "country": "Germany"}, BlueprintError, "a two-letter country code"),
    ],
)
async def test_a_row_that_is_not_whole_or_not_sound_is_refused(
    store: Store, values: dict[str, str], wrong: type[Exception], says: str
) -> None:
    _, numbers = await house_without_tax(store, 1)
    with pytest.raises(wrong, match=says):
        await propose(store, numbers[0], **values)
    assert len(await inforce.history(store)) == 1


async def test_what_suggests_no_row_is_told_so(store: Store) -> None:
    house = House(store)
    house.erp.plan(subject(1), rejected("no_lines", "Order 1 has no lines.", "Correct it in the shop."))
    await house.hear(payload(1))
    (one,) = await house.exceptions()
    with pytest.raises(CannotAdd, match="suggests no row"):
        await propose(store, one["id"])


async def about_products(store: Store, *numbers: int) -> list[dict[str, Any]]:
    """An open exception of the ERP about each of these."""
    about = [(ERP, f"{SHOP}:product:{n}", rejected("refused", "It is there.", "Link it."), "buyer") for n in numbers]
    async with store.write() as connection:
        await exceptions.open_about(connection, store, "tell_product", about)
    return await exceptions.listing(store)


async def test_an_order_entered_by_hand_is_resolved_and_never_linked(store: Store) -> None:
    """An ERP finds orders by what it was told with: a link alone would be refused as a deleted order for ever."""
    house = House(store)
    house.erp.plan(subject(1), rejected("no_lines", "Order 1 has no lines.", "Enter it by hand."))
    await house.hear(payload(1))
    (one,) = await house.exceptions()
    with pytest.raises(fixing.CannotLink, match=f"exceptions resolve {one['id']} --note"):
        await fixing.link_record(store, one["id"], "S00042", "ada")
    assert await rows_of(store, schema.link, system=ERP) == []
    assert (await exceptions.get(store, one["id"]))["status"] == "open"


async def test_what_is_there_already_is_linked_and_goes_on(store: Store) -> None:
    (one,) = await about_products(store, 1)
    await fixing.link_record(store, one["id"], "S00042", "ada")
    assert [(r["canonical_id"], r["object_id"]) for r in await rows_of(store, schema.link, system=ERP)] == [
        (one["subject"], "S00042")
    ]
    assert (await exceptions.get(store, one["id"]))["status"] == "retried"
    with pytest.raises(exceptions.NotOpen):
        await fixing.link_record(store, one["id"], "S00043", "ada")
    acts = [r["act"] for r in await rows_of(store, schema.audit)]
    assert acts == ["identity.same", "exception.retried"]


async def test_a_record_that_stands_for_another_thing_is_not_linked(store: Store) -> None:
    first, second = await about_products(store, 1, 2)
    await fixing.link_record(store, first["id"], "S00042", "ada")
    with pytest.raises(fixing.CannotLink, match="linked already"):
        await fixing.link_record(store, second["id"], "S00042", "ada")
    assert (await exceptions.get(store, second["id"]))["status"] == "open"


@pytest.mark.parametrize(
    ("data", "row"),
    [
        ({"taxes": [{"rate": "20"}]}, {"taxes": [{"rate": "7"}]}),
        ({}, {"statuses": {"web": {"order": {"in-print": "processing"}}}}),
        ({"statuses": {"web": {"order": {"a": "paid"}}, "eu": {}}}, {"statuses": {"web": {"order": {"b": "paid"}}}}),
    ],
)
def test_a_row_stands_in_what_it_was_added_to_beside_what_was_there(data: dict[str, Any], row: dict[str, Any]) -> None:
    whole = added(data, row)
    assert not stands_in(data, row)
    assert stands_in(whole, row)
    assert stands_in(whole, data)
