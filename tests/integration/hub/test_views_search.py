"""One search: what people have in hand finds the thing, the likeliest first, in pages; who may not see, does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes import ERP, SHOP, House, at, order, payload, subject
from tests.integration.hub.test_hub_timeline import FULFILLED

from counterfoil.hub import records
from counterfoil.hub.contract import Observed, rejected
from counterfoil.hub.records import Known
from counterfoil.hub.store import Store
from counterfoil.hub.views import people, search
from counterfoil.hub.views.search import BadPage, Found
from counterfoil.processes.changes import changed
from counterfoil.processes.orders import orders
from counterfoil.retail.money import Money
from counterfoil.retail.party import Account, Address, Customer
from counterfoil.retail.product import Product, Variant

SYSTEMS = (SHOP, ERP)
ADA = Account(
    system=SHOP,
    id="12",
    customer=Customer(id="12", email="ada@mail.example", name="Ada Lovelace", phone="0171 2345678"),
    billing=Address(name="Ada Lovelace", street="1 rue Haute", country="DE"),
)
MUG = Product(system=ERP, id="7", name="Mug", variants=(Variant(id="70", sku="MUG", price=Money.of("12.00", "EUR")),))


async def found(store: Store, text: str, **options: Any) -> Found:
    """As somebody who may see everything."""
    return await search.find(store, text, SYSTEMS, **{"may_see": True, **options})


def hits(result: Found, thing: str = "order") -> list[str]:
    """The subjects of one group."""
    return [h.line.subject for g in result.groups if g.thing == thing for h in g.hits]


async def tell(store: Store, kind: str, state: Any) -> None:
    """A customer or product that its system told of."""
    event = changed(state.system, kind, state, datetime(2026, 11, 2, tzinfo=UTC), ("told",))
    async with store.write() as connection:
        known = Known("", "", state.model_dump(mode="json"), "")
        place = (state.system, kind, state.id)
        await records.keep_objects(connection, store, {place: (known, state.canonical_id)})
        await records.keep_events(connection, store, [event])


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("S00007", "the ERP's number"),
        ("WH/OUT/00003", "shipment"),
        ("0034", "tracking"),
        ("inv/2026/00009", "invoice"),
        ("ch_77", "payment reference"),
        ("n1", "order number"),
    ],
)
async def test_an_order_is_found_by_what_came_of_it(store: Store, text: str, by: str) -> None:
    house = House(store)
    await house.hear(payload(1, payment="ch_77"), payload(2))
    await house.erp_says("fulfilment", FULFILLED, at(60), subject(1))
    await house.work()
    (group,) = (await found(store, text)).groups
    first = group.hits[0]
    assert (first.line.subject, first.why, first.exact, first.line.title) == (subject(1), by, True, "N1")
    assert sum(hit.exact for hit in group.hits) == 1


async def test_the_beginning_is_enough_but_the_whole_comes_first(store: Store) -> None:
    await House(store).hear(*[payload(n) for n in (1001, 100, 10012, 200)])
    result = await found(store, "N100")
    assert hits(result) == [subject(100), subject(1001), subject(10012)]
    assert [h.exact for h in result.groups[0].hits] == [True, False, False]
    assert hits(await found(store, "N1")) == [], "two characters begin too much"


async def test_each_page_goes_on_where_the_one_before_ended(store: Store) -> None:
    """Through the exact ones, newest first, into those that only begin so; nothing twice, nothing left out."""
    house = House(store)
    for n in range(1, 8):
        await house.hear(payload(n, sku="MUG" if n < 5 else "MUG-XL"))
    seen: list[str] = []
    after = ""
    while True:
        (group,) = (await found(store, "mug", thing="order", after=after, limit=2)).groups
        seen += [hit.line.subject for hit in group.hits]
        if not (after := group.after):
            break
    assert seen[:4] == [subject(n) for n in (4, 3, 2, 1)]
    assert sorted(seen[4:]) == [subject(n) for n in (5, 6, 7)]
    with pytest.raises(BadPage):
        await found(store, "mug", thing="order", after='["here"]')


async def test_an_article_comes_before_the_orders_that_have_it_in_them(store: Store) -> None:
    await House(store).hear(payload(1), payload(2))
    await tell(store, "product", MUG)
    result = await found(store, "MUG")
    assert [g.thing for g in result.groups] == ["product", "order"]
    assert result.groups[0].hits[0].line.facts == {"SKU": "MUG"}


@pytest.mark.parametrize("text", ["+49 171 2345678", "0171/2345678", "ADA@mail.example ", f"{SHOP}:customer:12", "12"])
async def test_a_customer_is_found_however_the_address_or_number_is_written(store: Store, text: str) -> None:
    await tell(store, "customer", ADA)
    assert hits(await found(store, text), "customer") == [ADA.canonical_id]
    assert (await found(store, text.strip()[:-1])).groups == ()


async def test_nobody_finds_people_by_how_a_fingerprint_begins(store: Store) -> None:
    """case: the keys of personal data are kept as hashes, which begin with something too."""
    await tell(store, "customer", ADA)
    for value in search.exact_values("ada@mail.example"):
        assert hits(await found(store, value[:8]), "customer") == []


async def test_who_may_not_see_people_is_shown_none(store: Store) -> None:
    await tell(store, "customer", ADA)
    await House(store).hear(payload(1, email="ada@mail.example", note="ring Ada"))
    result = await search.find(store, "ada@mail.example", SYSTEMS)
    told = repr(result.groups)
    assert "a•••@mail.example" in told
    assert "Lovelace" not in told
    shown = repr(await people.customer(store, "ada@mail.example"))
    assert not [word for word in ("Lovelace", "2345678", "ring Ada", "ada@mail") if word in shown]


async def test_all_of_a_customer_is_in_one_place(store: Store) -> None:
    """Orders by address or by telephone, what waits for a person about any of them, and what they wrote."""
    await tell(store, "customer", ADA)
    house = House(store)
    house.erp.always[subject(2)] = rejected("unknown_sku", "No product MUG for ada@mail.example.", "Make it.")
    await house.hear(payload(1, email="Ada@mail.example", note="after six, please"))
    await house.hear(payload(2, email="ada@mail.example"), payload(3, email="bob@mail.example"))
    for who in ("ada@mail.example", ADA.canonical_id):
        customer = await people.customer(store, who, may_see=True)
        assert customer is not None
        assert [line.subject for line in customer.accounts] == [ADA.canonical_id]
        assert {line.subject for line in customer.orders} == {subject(1), subject(2)}
        assert [(c.subject, c.status) for c in customer.cases] == [(subject(2), "open")]
        assert [(m.subject, m.text) for m in customer.messages] == [(subject(1), "after six, please")]
    first = await people.customer(store, "ada@mail.example", limit=1)
    assert first is not None
    rest = await people.customer(store, "ada@mail.example", limit=1, after=first.after)
    assert rest is not None
    assert {line.subject for line in (*first.orders, *rest.orders)} == {subject(1), subject(2)}
    assert rest.after is None
    assert "ada@mail" not in repr(first.cases)
    assert await people.customer(store, "carol@mail.example") is None


async def test_a_guest_is_known_by_the_telephone_number_of_their_order(store: Store) -> None:
    placed = order(number=1).model_copy(update={"customer": Customer(phone="+33 1 42 68 53 00")})
    process = orders(House(store).blueprint.orders, None)
    decision = process.interpret(None, Observed("order", placed.id, "1", placed), "webhook")
    async with store.write() as connection:
        await records.keep_events(connection, store, list(decision.events))
    assert hits(await found(store, "+33142685300")) == [placed.canonical_id]
